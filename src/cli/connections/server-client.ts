import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress } from '../../config/index.ts';
import { Code, type Connect, createRpcClient, type RpcClient, RpcError } from '../../rpc/index.ts';
import { createSilentLog, messageOf } from '../../std/index.ts';
import { decodeCertificatesPem, parseCertificate, verifyX509Svid } from '../../wire/x509/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { settingsIfAny } from '../settings.ts';
import { shellWord } from '../terminal/shell-word.ts';
import { loginClient } from './login-client.ts';
import { whyUnreached } from './unreached.ts';

/** Runs `work` with a client of the server, and closes it: as whoever has logged in, where nothing else is named. */
export async function withServer<T>(
  context: CliContext,
  input: CliInput,
  work: (client: RpcClient) => Promise<T>,
): Promise<T> {
  const asLoggedIn = await loginClient(context, input);
  if (asLoggedIn !== undefined) return work(asLoggedIn);
  const connect = serverAddress(context, input);
  const client = createRpcClient({ clock: context.clock, log: createSilentLog(), connect });
  try {
    return await work(client);
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.UNAVAILABLE) throw error;
    const option = 'unix' in connect ? '--socket' : '--server';
    const { remedy } = whyUnreached(error, { role: 'server', connect, option });
    throw new RpcError(error.code, `${error.message}; ${remedy}`, { cause: error });
  } finally {
    await client.close();
  }
}

function serverAddress(context: CliContext, input: CliInput): Connect {
  const server = textOption(input, 'server');
  if (server === undefined)
    return {
      unix:
        textOption(input, 'socket') ?? settingsIfAny(context)?.server?.socket ?? '/run/countersign/server/server.sock',
    };
  const directory = textOption(input, 'identity');
  if (directory === undefined) throw new UsageError('--server needs --identity, the folder of an admin identity');
  const { host, port } = parseAddress(server);
  if (host === '' || !(port >= 1 && port <= 65_535))
    throw new UsageError(`--server ${server} is not host:port, as in 127.0.0.1:8081`);
  const { roots, chainDer, key, serverId } = readIdentity(directory);
  return {
    ...{ host, port },
    tls: {
      identity: () => ({ chainDer, key }),
      verifyPeer(presented) {
        const verdict = verifyX509Svid(presented, () => roots, context.clock.now());
        if (!verdict.ok) throw new Error(`the server at ${server} could not be verified: ${verdict.reason}`);
        if (verdict.id.uri !== serverId) throw new Error(`${server} is ${verdict.id.uri}, not ${serverId}`);
      },
    },
  };
}

/** The admin identity in a folder, and the id of the server of its trust domain. @throws UsageError */
function readIdentity(directory: string) {
  try {
    const roots = readPem(directory, 'bundle.pem').map((der) => ({ der, tainted: false }));
    const chainDer = readPem(directory, 'svid.pem');
    const key = createPrivateKey(readFileSync(join(directory, 'key.pem')));
    const own = parseCertificate(chainDer[0] ?? Buffer.alloc(0)).names.uris[0] ?? '';
    return { roots, chainDer, key, serverId: `${own.split('/').slice(0, 3).join('/')}/spire/server` };
  } catch (cause) {
    throw new UsageError(
      `the identity in ${directory} can not be read: ${messageOf(cause)}; \`countersign svid fetch --dir ${shellWord(directory)}\` writes one`,
      { cause },
    );
  }
}

function readPem(directory: string, file: string): Buffer[] {
  return decodeCertificatesPem(readFileSync(join(directory, file), 'utf8'));
}
