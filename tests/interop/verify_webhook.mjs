// standardwebhooks: verifies a delivery of events, as a receiver in Node does.
//
// Environment: SECRET, WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE, BODY. Prints the body; fails if anything is
// wrong, the timestamp included.
import { Webhook } from 'standardwebhooks';

const { SECRET, WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE, BODY } = process.env;

const body = new Webhook(SECRET).verify(BODY, {
  'webhook-id': WEBHOOK_ID,
  'webhook-timestamp': WEBHOOK_TIMESTAMP,
  'webhook-signature': WEBHOOK_SIGNATURE,
});
console.log(JSON.stringify(body));
