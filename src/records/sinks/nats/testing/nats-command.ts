import { existsSync } from 'node:fs';

/** Where distributions put the server. */
export function commandIn(): string | undefined {
  return ['/usr/sbin/nats-server', '/usr/local/bin/nats-server', '/usr/bin/nats-server'].find(existsSync);
}
