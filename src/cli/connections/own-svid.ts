import { SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { Code, createRpcClient, RpcError } from '../../rpc/index.ts';
import { codeOf, createSilentLog } from '../../std/index.ts';
import { parseCertificate, splitCertificates } from '../../wire/x509/index.ts';
import { type CliContext, type CliInput, textOption } from '../command.ts';
import { settingsIfAny } from '../settings.ts';
import { whyUnreached } from './unreached.ts';

/** What the Workload API gives this very process: its default X.509-SVID, by which its sessions go. */
export interface OwnSvid {
  readonly spiffeId: string;
  readonly serial: string;
  readonly notBeforeS: number;
  readonly expiresAtS: number;
  readonly hint: string;
  readonly certificates: number;
  /** SPIFFE IDs of its other identities, where several entries match it. */
  readonly others: readonly string[];
}

/** Why this one of several is the default; undefined where there is only one. */
export function whyDefault({ others, hint }: OwnSvid): string | undefined {
  if (others.length === 0) return undefined;
  const why =
    hint === 'default'
      ? 'its entry has the hint `default`'
      : 'its entry is the oldest, and none has the hint `default`';
  return `taken of ${others.length + 1}: ${why}`;
}

/** The option of commands that talk to the Workload API. */
export const workloadApiOption = [
  '--workload-api <path>',
  'socket of the Workload API (default: $SPIFFE_ENDPOINT_SOCKET, the configuration, else /run/countersign/agent/agent.sock)',
] as const;

/** Path of the Workload API's socket. */
export function workloadApiSocket(context: CliContext, input: CliInput): string {
  const named = textOption(input, 'workloadApi') ?? context.env['SPIFFE_ENDPOINT_SOCKET'];
  return (
    named?.replace(/^unix:(\/\/)?/, '') ?? settingsIfAny(context)?.agent?.socket ?? '/run/countersign/agent/agent.sock'
  );
}

/** Asks once. @throws RpcError as the Workload API answers */
export async function fetchOwnSvid(context: CliContext, socket: string, signal: AbortSignal): Promise<OwnSvid> {
  const client = createRpcClient({ clock: context.clock, log: createSilentLog(), connect: { unix: socket } });
  try {
    const stream = client.serverStream(
      SpiffeWorkloadAPI.method.fetchX509SVID,
      {},
      { signal, metadata: { 'workload.spiffe.io': 'true' } },
    );
    for await (const { svids } of stream) {
      const [svid, ...more] = svids;
      if (!svid) break;
      const chain = splitCertificates(Buffer.from(svid.x509Svid));
      const leaf = parseCertificate(chain[0] ?? Buffer.alloc(0));
      return {
        spiffeId: svid.spiffeId,
        serial: leaf.serial,
        notBeforeS: leaf.notBeforeS,
        expiresAtS: leaf.notAfterS,
        hint: svid.hint,
        certificates: chain.length,
        others: more.map(({ spiffeId }) => spiffeId),
      };
    }
    throw new RpcError(Code.UNAVAILABLE, 'the Workload API ended the stream without an identity');
  } finally {
    await client.close();
  }
}

/** A JWT-SVID of its default identity for that audience. @throws RpcError as the Workload API answers */
export async function fetchOwnToken(
  context: CliContext,
  { socket, audience }: { readonly socket: string; readonly audience: string },
): Promise<string> {
  const client = createRpcClient({ clock: context.clock, log: createSilentLog(), connect: { unix: socket } });
  const options = { signal: context.signal, timeoutMs: TOKEN_MS_MAX, metadata: { 'workload.spiffe.io': 'true' } };
  try {
    const { svids } = await client.unary(SpiffeWorkloadAPI.method.fetchJWTSVID, { audience: [audience] }, options);
    const token = svids[0]?.svid;
    if (token) return token;
    throw new RpcError(Code.UNAVAILABLE, 'the Workload API answered with no JWT-SVID');
  } finally {
    await client.close();
  }
}

/** What the agent says is the caller's to read; what the system says of its socket needs a word on what to do. */
export function explainedSvidError(error: unknown, socket: string): unknown {
  if (!(error instanceof RpcError)) return error;
  if (error.code === Code.PERMISSION_DENIED)
    return new RpcError(
      error.code,
      `${error.message}: no entry matches this process (uid ${process.geteuid?.()}); an operator registers it with \`countersign entry create\``,
      { cause: error },
    );
  if (error.code !== Code.UNAVAILABLE || codeOf(error.cause) === undefined) return error;
  const { remedy } = whyUnreached(error, { role: 'agent', connect: { unix: socket }, option: '--workload-api' });
  return new RpcError(error.code, `${error.message}; ${remedy}`, { cause: error });
}

/** The agent may have to ask its server. */
const TOKEN_MS_MAX = 30_000;
