/** What of a user's NO_PROXY stays, and which entries had to go since they would lead past us to a target's host. */
export interface NoProxy {
  readonly value: string;
  readonly dropped: readonly string[];
}

/** Clients go by themselves to what is near, and to what the user's own variable says, but for hosts of targets. */
export function noProxyOf(written: string | undefined, hosts: readonly string[], near: readonly string[]): NoProxy {
  const entries = (written ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const dropped = entries.filter((entry) => hosts.some((host) => excludes(entry, host)));
  const kept = entries.filter((entry) => !dropped.includes(entry));
  return { value: [...new Set([...kept, ...near])].join(','), dropped };
}

/** As the most generous client reads it: the name itself, all below it, whatever the port. */
function excludes(entry: string, host: string): boolean {
  const name = entry
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\*?\.?/, '')
    .replace(/\.$/, '');
  return name === '' || host === name || host.endsWith(`.${name}`);
}
