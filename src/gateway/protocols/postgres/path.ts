import type { ProtocolPath } from '../../protocol.ts';
import { negotiateDirect } from './direct.ts';
import { openTarget } from './target.ts';

/** What stands in the data path: the parser, the catalog, sessions. */
export const path: ProtocolPath = { alpn: 'postgresql', openTarget, negotiateDirect };
