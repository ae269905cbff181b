// @seriousme/openapi-schema-validator and ajv: is the document OpenAPI 3.1, and is each answer as it says?
//
// Environment: DOCUMENT (its address), ANSWERS (a file: a list of {id, status, body}). Prints the operations and the
// number of answers checked; fails with everything that does not fit.
import { readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const { DOCUMENT, ANSWERS } = process.env;
const document = await (await fetch(DOCUMENT)).json();
const validator = new Validator();
const { valid, errors } = await validator.validate(structuredClone(document));
if (!valid) throw new Error(`not OpenAPI: ${JSON.stringify(errors, null, 2)}`);
if (validator.version !== '3.1') throw new Error(`OpenAPI ${validator.version}`);

const operations = new Map();
for (const [path, methods] of Object.entries(document.paths)) {
  for (const [method, operation] of Object.entries(methods)) operations.set(operation.operationId, { path, method, operation });
}

// Members that are not in the document are faults here, though clients are to pass over them.
const closed = (schema) => {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== 'object') return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  if (copy.type === 'object' && copy.properties && !copy.oneOf && copy.additionalProperties === undefined) {
    copy.additionalProperties = false;
  }
  return copy;
};
const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
ajv.addSchema({ $id: 'https://document.example/', components: closed(document.components) });

const faults = [];
const answers = JSON.parse(await readFile(ANSWERS, 'utf8'));
for (const { id, status, body } of answers) {
  const known = operations.get(id);
  const response = known?.operation.responses[status];
  if (!response) {
    faults.push(`${id} answers ${status}, which the document does not say`);
    continue;
  }
  const [media] = Object.values(response.content);
  const text = JSON.stringify(closed(media.schema)).replaceAll('"#/', '"https://document.example/#/');
  const check = ajv.compile(JSON.parse(text));
  if (!check(body)) faults.push(`${id} ${status}: ${JSON.stringify(check.errors)} in ${JSON.stringify(body)}`);
}
if (faults.length > 0) throw new Error(faults.join('\n'));
const described = [...operations.values()].map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort();
console.log(JSON.stringify({ operations: described, checked: answers.length }));
