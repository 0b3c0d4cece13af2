import { sha256 } from '../std/index.ts';

/** What an identity's entries say of it, for policies. An empty text is none. */
export interface IdentityAttributes {
  readonly owner: string;
  readonly environment: string;
  /** Names are not those of a prototype: look with `Object.hasOwn`. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Attributes as somebody wrote them. */
export interface WrittenAttributes {
  readonly owner?: string | undefined;
  readonly environment?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Most identities have none: they share it. */
export const NO_ATTRIBUTES: IdentityAttributes = Object.freeze({
  owner: '',
  environment: '',
  labels: Object.freeze({}),
});

/** Why a text is no attribute: says which one and what is allowed. */
export class InvalidAttributes extends Error {}

/**
 * Checks attributes from outside. Labels come out in order of name, so that equal attributes have one text.
 * @throws InvalidAttributes
 */
export function parseIdentityAttributes(written: WrittenAttributes): IdentityAttributes {
  const entries = Object.entries(written.labels ?? {});
  if (entries.length > LABELS_MAX) {
    throw new InvalidAttributes(`${entries.length} labels are given, allowed are ${LABELS_MAX}`);
  }
  const labels: Record<string, string> = {};
  for (const [name, value] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!LABEL_NAME.test(name)) {
      throw new InvalidAttributes(
        `${JSON.stringify(name.slice(0, SHOWN_CHARS_MAX))} is no name of a label: it is 1 to 63 letters, digits and . _ - / of ASCII, with a letter or a digit at both ends`,
      );
    }
    labels[name] = lineOf(`label ${name}`, value);
  }
  const owner = lineOf('owner', written.owner ?? '');
  const environment = lineOf('environment', written.environment ?? '');
  if (entries.length === 0 && owner === '' && environment === '') return NO_ATTRIBUTES;
  const attributes = { owner, environment, labels };
  const bytes = Buffer.byteLength(JSON.stringify(attributes));
  if (bytes > ATTRIBUTES_BYTES_MAX) {
    throw new InvalidAttributes(
      `owner, environment and labels have ${bytes} bytes as JSON, allowed are ${ATTRIBUTES_BYTES_MAX}: make labels fewer or shorter`,
    );
  }
  return attributes;
}

/** Equal texts for equal attributes. */
export function attributesText({ owner, environment, labels }: IdentityAttributes): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([owner, environment, sorted]);
}

/** 32 hex digits of a SHA-256, over all of them: what entries of a ledger name them by. */
export function attributesDigest(attributes: IdentityAttributes): string {
  return sha256(Buffer.from(attributesText(attributes)))
    .toString('hex')
    .slice(0, 32);
}

export function hasAttributes({ owner, environment, labels }: IdentityAttributes): boolean {
  return owner !== '' || environment !== '' || Object.keys(labels).length > 0;
}

/** What all say alike; where one says otherwise, or nothing, it is absent. At least one is given, or nobody says anything. */
export function agreedAttributes(all: readonly IdentityAttributes[]): IdentityAttributes {
  const [first = NO_ATTRIBUTES, ...others] = all;
  if (others.length === 0) return first;
  const owner = others.every((one) => one.owner === first.owner) ? first.owner : '';
  const environment = others.every((one) => one.environment === first.environment) ? first.environment : '';
  const labels = Object.fromEntries(
    Object.entries(first.labels).filter(([name, value]) =>
      others.every((one) => Object.hasOwn(one.labels, name) && one.labels[name] === value),
    ),
  );
  const agreed = { owner, environment, labels };
  return hasAttributes(agreed) ? agreed : NO_ATTRIBUTES;
}

/** The names of those on which they differ, in order: `owner`, `environment`, `labels.team`. */
export function disputedAttributes(all: readonly IdentityAttributes[]): readonly string[] {
  const agreed = agreedAttributes(all);
  const names = [...new Set(all.flatMap(({ labels }) => Object.keys(labels)))].sort();
  return [
    ...(agreed.owner === '' && all.some(({ owner }) => owner !== '') ? ['owner'] : []),
    ...(agreed.environment === '' && all.some(({ environment }) => environment !== '') ? ['environment'] : []),
    ...names.filter((name) => !Object.hasOwn(agreed.labels, name)).map((name) => `labels.${name}`),
  ];
}

/** One line that a terminal shows as it is. @throws InvalidAttributes */
function lineOf(what: string, text: string): string {
  if (typeof text !== 'string') throw new InvalidAttributes(`${what} is no text`);
  if (text.length > VALUE_CHARS_MAX) {
    throw new InvalidAttributes(`${what} has ${text.length} characters, allowed are ${VALUE_CHARS_MAX}`);
  }
  if (!text.isWellFormed()) throw new InvalidAttributes(`${what} holds half a character (a lone surrogate)`);
  if (UNSEEN.test(text)) {
    throw new InvalidAttributes(`${what} is one line of text, without control characters and marks of direction`);
  }
  if (text !== text.trim()) throw new InvalidAttributes(`${what} begins or ends with white space`);
  return text;
}

const LABELS_MAX = 32;
/** In UTF-16 units, as everywhere. */
const VALUE_CHARS_MAX = 256;
/** Small enough for each session's first entry in the ledger to hold them whole (decision 0035). */
const ATTRIBUTES_BYTES_MAX = 4096;
const LABEL_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
/** What ends a line, steers a terminal, or makes text look like another one. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const SHOWN_CHARS_MAX = 80;
