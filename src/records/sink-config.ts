import type { Static, TObject } from 'typebox';
import { Value } from 'typebox/value';
import { RecordsError } from './errors.ts';

/**
 * A sink's config with its defaults filled in. Unknown keys are refused.
 * @throws RecordsError ERR_RECORDS_SINK naming the key; values are never repeated, one may be a secret in the wrong place
 */
export function parseSinkConfig<S extends TObject>(kind: string, schema: S, input: unknown): Static<S> {
  const filled = Value.Default(schema, structuredClone(input));
  if (Value.Check(schema, filled)) return filled;
  const [first] = Value.Errors(schema, filled);
  const where = first?.instancePath.slice(1) || 'config';
  throw new RecordsError('ERR_RECORDS_SINK', `sink ${kind}: ${where} ${first?.message ?? 'is invalid'}`);
}
