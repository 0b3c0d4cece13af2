import * as fs from 'node:fs';
import * as path from 'node:path';
import { parse } from 'yaml';
import type { Stack } from '../../support/stack.ts';
import type { RoleName } from '../../support/stack-folder.ts';
import type { DoorName, Way } from './kinds.ts';

/** How a door of that stack is reached. */
export function wayTo({ folder, socketDir }: Stack, door: DoorName): Way {
  const config = parse(fs.readFileSync(folder.config, 'utf8')) as Record<RoleName, { listen: string }>; // The stack wrote it.
  const tcp = (listen: string, alpn: string) => {
    const [host = '', port] = listen.split(':');
    return { host, port: Number(port), alpn };
  };
  switch (door) {
    case 'server':
      return tcp(config.server.listen, 'h2');
    case 'agent':
      return { unix: folder.workloadApi };
    case 'gateway':
      return tcp(config.gateway.listen, 'countersign-link/1');
    case 'direct':
      return { ...tcp(`127.0.0.1:${folder.directPort}`, 'postgresql'), before: SSL_REQUEST };
    case 'target':
      return { unix: path.join(socketDir, '.s.PGSQL.5432') };
    default:
      return door satisfies never;
  }
}

/** @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = '0000000804d2162f';
