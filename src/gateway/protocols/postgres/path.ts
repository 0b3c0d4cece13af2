import type { AskedQuestions, ProtocolPath } from '../../protocol.ts';
import { databasesOf } from './config.ts';
import { negotiateDirect } from './login/negotiate-tls.ts';
import { askedAsWritten, loadParser } from './sql/index.ts';
import { openTarget } from './target.ts';

/** What stands in the data path: the parser, the catalog, sessions. */
export const path: ProtocolPath = {
  door: { proof: 'svid', alpn: ['postgresql'], negotiate: negotiateDirect },
  questionsOf,
  openTarget,
};

async function questionsOf(
  command: string,
  { name, config, place, columnsOf }: Parameters<NonNullable<ProtocolPath['questionsOf']>>[1],
): Promise<AskedQuestions> {
  const database = place ?? databasesOf(config)?.[0];
  if (database === undefined) return { ok: false, why: `the target ${name} does not say which database it serves` };
  await loadParser();
  return askedAsWritten(command, { target: name, database }, columnsOf);
}
