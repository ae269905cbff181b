-- A proposal is closed as soon as one of its two is no customer of its own any more; those that were left open so far are.

UPDATE merge_proposals SET state = 'void',
    closed_at = (SELECT MAX(c.updated_at) FROM customers c WHERE c.id IN (survivor, absorbed))
    WHERE state = 'open'
    AND EXISTS (SELECT 1 FROM customers c WHERE c.id IN (survivor, absorbed) AND c.state IN ('merged', 'erased'));
