import type { Duplex } from 'node:stream';
import type { ProtocolPath } from '../../protocol.ts';
import { askedAsWritten } from './meaning/index.ts';
import { openTarget } from './target.ts';

/** What stands in the data path: sessions, and the way to the upstream. */
export const path: ProtocolPath = {
  door: {
    proof: 'svid',
    alpn: ['h2', 'http/1.1'],
    // TLS comes first.
    negotiate: (_socket, startTls): Promise<Duplex | undefined> => startTls(NOTHING),
  },
  questionsOf: async (command, { name, config }) => askedAsWritten(command, { name, config }),
  openTarget,
};

const NOTHING = Buffer.alloc(0);
