import { createHash } from 'node:crypto';
import { type PolicyJson, policyOf } from '../expressions/cedar-json.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { CEDAR_VERSION } from './cedar.ts';

/** Policies as somebody has parsed and validated them, for whoever would load Cedar only to do that again. */
export interface ParsedForms {
  /** What they were parsed with and held against, as {@link parserOf} says it. */
  readonly by: string;
  readonly forms: readonly ParsedForm[];
}

/** One policy; which one, its text says. */
export interface ParsedForm {
  /** SHA-256 of the text, from its first token to its semicolon. */
  readonly textDigest: Uint8Array;
  /** Cedar's JSON policy format. */
  readonly json: string;
}

/** The parsed form of a text; undefined when nobody has given one that can be used. */
export type FormOf = (text: string) => PolicyJson | undefined;

/** Names all on which it depends what becomes of a text: the parser, the validator and the schema. */
export function parserOf(schema: PolicySchema): string {
  return `cedar ${CEDAR_VERSION}, schema ${schema.digest}`;
}

/** Writes the forms of policies that were parsed, validated and compiled against the schema. */
export function writeForms(parsed: ReadonlyMap<string, PolicyJson>, schema: PolicySchema): ParsedForms {
  const forms = Array.from(parsed, ([text, json]) => ({ textDigest: digestOf(text), json: JSON.stringify(json) }));
  return { by: parserOf(schema), forms };
}

/** Reads them again. Those of another parser are of no use: it may have taken what this one refuses, or have understood something else. */
export function readForms(given: ParsedForms | undefined, schema: PolicySchema): FormOf {
  if (given?.by !== parserOf(schema)) return () => undefined;
  const forms = new Map(given.forms.map(({ textDigest, json }) => [Buffer.from(textDigest).toString('hex'), json]));
  return (text) => {
    const json = forms.get(digestOf(text).toString('hex'));
    return json === undefined ? undefined : readForm(json);
  };
}

function readForm(json: string): PolicyJson | undefined {
  try {
    return policyOf(JSON.parse(json));
  } catch {
    return undefined; // Garbage; the text is there as well.
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
