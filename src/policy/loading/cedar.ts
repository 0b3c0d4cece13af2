import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { PolicyError } from '../errors.ts';
import type { PolicyJson } from '../expressions/cedar-json.ts';
import type { SchemaJson } from '../schema/compose-schema.ts';
import type { PolicyProblem } from '../types.ts';
import { unitsFromBytes } from './split.ts';

/**
 * Cedar's own parser and validator, compiled to WebAssembly. Used when policies are loaded, never when a request is decided.
 * Every text that reaches it was weighed by `split.ts` first.
 */

/** Of the package that is loaded here. What one of another version has parsed is of no use to this one. */
export const CEDAR_VERSION = '4.13.0';

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');

let loaded: Cedar | undefined;

/** Loaded when it is first needed: most commands look at no policy. */
function cedar(): Cedar {
  if (loaded !== undefined) return loaded;
  // What is called a few times is not worth optimising: half of the time that a check of ten policies takes. Of ten thousand it still is.
  setFlagsFromString('--wasm-tiering-budget=200000000');
  // The package's own types are those of the module.
  loaded = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as Cedar;
  return loaded;
}

/** What Cedar says of one policy text; `offset` into it in UTF-16 units. */
export interface CedarFinding extends Pick<PolicyProblem, 'severity' | 'code' | 'message' | 'help'> {
  readonly offset: number;
}

/** Parses one policy, or says what is wrong with it. @throws PolicyError ERR_POLICY_PARSER */
export function parsePolicy(text: string): { readonly json: PolicyJson } | { readonly finding: CedarFinding } {
  const answer = callCedar(() => cedar().policyToJson(text));
  // Cedar's JSON policy format; cedar-json.ts declares the part of it that the compiler accepts, and the compiler refuses the rest.
  if (answer.type === 'success') return { json: answer.json as PolicyJson };
  const [error] = answer.errors;
  const message = (error?.message ?? 'this is not a policy').replace(PARSE_PREFIX, '');
  const code = message.includes('got a template') ? 'ERR_POLICY_TEMPLATE' : 'ERR_POLICY_SYNTAX';
  return { finding: { severity: 'error', code, message, ...placeOf(text, error) } };
}

/**
 * Checks policies that parse against the schema: what there is to say of each, by index.
 * @throws PolicyError ERR_POLICY_PARSER, ERR_POLICY_SCHEMA
 */
export function validatePolicies(texts: readonly string[], schema: SchemaJson): readonly (readonly CedarFinding[])[] {
  if (texts.length === 0) return []; // Nothing to say, and nothing to load for it.
  const staticPolicies = Object.fromEntries(texts.entries());
  // The schema type of Cedar's declarations is the mutable twin of ours.
  const cedarSchema = schema as Parameters<Cedar['checkParseSchema']>[0];
  const answer = callCedar(() => cedar().validate({ schema: cedarSchema, policies: { staticPolicies } }));
  if (answer.type === 'failure') {
    checkSchema(schema);
    throw new PolicyError(
      'ERR_POLICY_PARSER',
      `Cedar's validator failed: ${answer.errors[0]?.message ?? 'no reason given'}`,
    );
  }
  const findings = texts.map((): CedarFinding[] => []);
  for (const severity of ['error', 'warning'] as const) {
    for (const { policyId, error } of severity === 'error' ? answer.validationErrors : answer.validationWarnings) {
      const text = texts[Number(policyId)];
      const list = findings[Number(policyId)];
      if (text === undefined || list === undefined)
        throw new PolicyError(
          'ERR_POLICY_PARSER',
          `Cedar's validator speaks of a policy ${policyId} that it was not given`,
        );
      const message = error.message.replace(VALIDATE_PREFIX, '');
      list.push({ severity, code: 'ERR_POLICY_INVALID', message, ...placeOf(text, error) });
    }
  }
  return findings;
}

/** @throws PolicyError ERR_POLICY_SCHEMA */
function checkSchema(schema: SchemaJson): void {
  // As above: the mutable twin.
  const answer = callCedar(() => cedar().checkParseSchema(schema as Parameters<Cedar['checkParseSchema']>[0]));
  if (answer.type === 'success') return;
  throw new PolicyError('ERR_POLICY_SCHEMA', answer.errors.map((error) => error.message).join('; '));
}

/** Runs one call of Cedar; whatever it throws means that it is broken from now on. @throws PolicyError ERR_POLICY_PARSER */
export function callCedar<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw new PolicyError('ERR_POLICY_PARSER', "Cedar's parser broke and can not be used again in this process", {
      cause,
    });
  }
}

function placeOf(
  text: string,
  error: { readonly help: string | null; readonly sourceLocations?: readonly { readonly start: number }[] } | undefined,
) {
  return { help: error?.help ?? undefined, offset: unitsFromBytes(text, error?.sourceLocations?.[0]?.start ?? 0) };
}

const PARSE_PREFIX = /^failed to parse policy from string: /;
const VALIDATE_PREFIX = /^for policy `\d+`, /;
