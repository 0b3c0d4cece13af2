import type { Static, TObject } from 'typebox';
import { Value } from 'typebox/value';
import { StoreError } from './errors.ts';

/**
 * An engine's config with its defaults filled in. Unknown keys are refused.
 * @throws StoreError ERR_STORE_CONFIG naming the key; values are never repeated, one may be a secret in the wrong place
 */
export function parseEngineConfig<S extends TObject>(engine: string, schema: S, input: unknown): Static<S> {
  const filled = Value.Default(schema, structuredClone(input));
  if (Value.Check(schema, filled)) return filled;
  const [first] = Value.Errors(schema, filled);
  const where = first ? first.instancePath.slice(1) : '';
  throw new StoreError(
    'ERR_STORE_CONFIG',
    `store engine ${engine}: ${where || 'config'} ${first?.message ?? 'is invalid'}`,
  );
}
