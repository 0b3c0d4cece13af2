import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECTION_LOST, Code, type Connect, createRpcClient, type RpcClient, RpcError } from '../../rpc/index.ts';
import { createSilentLog, messageOf } from '../../std/index.ts';
import { decodeCertificatesPem, parseCertificate, verifyX509Svid } from '../../wire/x509/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { settingsIfAny } from '../settings.ts';
import { shellWord } from '../terminal/shell-word.ts';
import { loginClient } from './login-client.ts';
import { whyUnreached } from './unreached.ts';
import { parseServers } from './with-rest.ts';

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
    return await work(carefully(client, 'others' in connect));
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.UNAVAILABLE) throw error;
    const option = 'unix' in connect ? '--socket' : '--server';
    const { remedy } = whyUnreached(error, { role: 'server', connect, option });
    throw new RpcError(error.code, `${error.message}; ${remedy}`, { cause: error });
  } finally {
    await client.close();
  }
}

/** Calls that a connection took with it: what only looks is asked again, of the next server where there are several; of anything else it is said what is not known. */
function carefully(client: RpcClient, hasOthers: boolean): RpcClient {
  const unary: RpcClient['unary'] = async (method, request, options) => {
    try {
      return await client.unary(method, request, options);
    } catch (error) {
      if (!(error instanceof RpcError && error.code === Code.UNAVAILABLE && error.message === CONNECTION_LOST))
        throw error;
      if (!LOOKS.test(method.name))
        throw new RpcError(
          error.code,
          `the server went away amid ${method.name}: it is not known whether that was done; look before you ask for it again`,
          { cause: error },
        );
      if (!hasOthers) throw error;
      return client.unary(method, request, options);
    }
  };
  return { ...client, unary };
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
  const [first, ...others] = parseServers(server);
  const { roots, chainDer, key, serverId } = readIdentity(directory);
  return {
    ...first,
    ...(others.length === 0 ? {} : { others }),
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

/** Of a method that changes nothing. */
const LOOKS = /^(List|Get|Count|Search)/;
