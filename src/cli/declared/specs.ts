/** The spec of a declared resource as plain data. */
export function specOf(specJson: string): Record<string, unknown> {
  const spec: unknown = JSON.parse(specJson);
  return typeof spec === 'object' && spec !== null ? { ...spec } : {};
}
