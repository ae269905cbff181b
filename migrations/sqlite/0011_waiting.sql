-- What waits for a decision about one customer is found from either side of it.

CREATE INDEX merge_proposals_survivor ON merge_proposals (survivor);
CREATE INDEX merge_proposals_absorbed ON merge_proposals (absorbed);
CREATE INDEX conflicts_customer ON conflicts (customer);
CREATE INDEX conflicts_other ON conflicts (other);
