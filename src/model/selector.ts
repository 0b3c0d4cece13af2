/** One attested fact, such as `unix:uid:1000`: type `unix`, value `uid:1000`. The type holds no colon; neither is empty. */
export interface Selector {
  readonly type: string;
  readonly value: string;
}

/** Parses `type:value` (the first colon separates); undefined when either half is empty. */
export function parseSelector(text: string): Selector | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon === text.length - 1) return undefined;
  return { type: text.slice(0, colon), value: text.slice(colon + 1) };
}

/** The textual form that {@link parseSelector} reads. */
export function formatSelector(selector: Selector): string {
  return `${selector.type}:${selector.value}`;
}

/** Orders selectors by type, then value (code units). */
export function compareSelectors(a: Selector, b: Selector): number {
  if (a.type !== b.type) return a.type < b.type ? -1 : 1;
  return a.value === b.value ? 0 : a.value < b.value ? -1 : 1;
}

/** True when every one of `wanted` is among `present`: the match rule of registration entries. */
export function containsAll(present: readonly Selector[], wanted: readonly Selector[]): boolean {
  const texts = new Set(present.map(formatSelector));
  return wanted.every((selector) => texts.has(formatSelector(selector)));
}
