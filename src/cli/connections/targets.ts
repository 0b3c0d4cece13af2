import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { localProtocols as all } from '../../gateway/protocols/local-registry.generated.ts';
import type { LocalClient, LocalProtocol } from '../../model/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { settingsIfAny } from '../settings.ts';

const localProtocols: readonly LocalProtocol[] = all;

/** The option of commands that use target sockets. */
export const targetsOption = [
  '--targets-dir <dir>',
  'folder of the target sockets (default: $COUNTERSIGN_TARGETS_DIR, the configuration, else /run/countersign/agent/targets)',
] as const;

/** Folder in which the agent of this machine keeps the target sockets. */
export function targetsDir(context: CliContext, input: CliInput): string {
  return (
    textOption(input, 'targetsDir') ??
    context.env['COUNTERSIGN_TARGETS_DIR'] ??
    settingsIfAny(context)?.agent?.targetsDir ??
    '/run/countersign/agent/targets'
  );
}

/** Names of the targets that have a socket there. */
export function targetsIn(directory: string): string[] {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(directory)
    .filter((name) => protocolIn(join(directory, name)) !== undefined)
    .toSorted();
}

/** The protocol whose socket is in that folder. */
function protocolIn(folder: string): LocalProtocol | undefined {
  return localProtocols.find(({ socketFile }) =>
    statSync(join(folder, socketFile), { throwIfNoEntry: false })?.isSocket(),
  );
}

/** The option of commands that take a target as their first word as well. */
export const targetOption = [
  '--target <name>',
  'which target, as by the first word (default: the only one there is)',
] as const;

/** The target that is named by the first word, or with `--target`. @throws UsageError for two */
export function namedTarget(input: CliInput): string | undefined {
  const [first, option] = [input.args[0], textOption(input, 'target')];
  if (first !== undefined && option !== undefined)
    throw new UsageError(`${first} and --target ${option} both name the target; give one of them`);
  return first ?? option;
}

/** Picks the target: the one named, or the only one there is. @throws UsageError */
export function chooseTarget(directory: string, name: string | undefined): string {
  const known = targetsIn(directory);
  const list =
    known.length > 0
      ? `here are: ${known.join(', ')}`
      : `none is in ${directory}; is an agent running on this machine, and has a target been applied?`;
  if (name === undefined && known.length === 1 && known[0] !== undefined) return known[0];
  if (name === undefined) throw new UsageError(`name a target; ${list}`);
  if (!known.includes(name)) throw new UsageError(`there is no socket for target ${name}; ${list}`);
  return name;
}

/** What a target's clients are told of an address that leads to its `socket`; undefined where all of them use the socket itself. */
export function targetLoopback(
  directory: string,
  target: string,
): { readonly socket: string; readonly variables: NonNullable<LocalClient['loopback']> } | undefined {
  const folder = join(directory, target);
  const { client, socketFile } = protocolIn(folder) ?? {};
  if (client?.loopback === undefined || socketFile === undefined) return undefined;
  return { socket: join(folder, socketFile), variables: (address) => client.loopback?.(address) ?? {} };
}

/** The socket of a target, if its protocol is that one. */
export function targetSocketOf(directory: string, target: string, id: string): string | undefined {
  const folder = join(directory, target);
  const protocol = protocolIn(folder);
  return protocol?.id === id ? join(folder, protocol.socketFile) : undefined;
}

/** The usual client of a target's protocol, and the environment in which it and most drivers come by its socket. @throws UsageError */
export function targetClient(
  directory: string,
  target: string,
  env: Readonly<Record<string, string | undefined>>,
): {
  readonly program: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
} {
  const folder = join(directory, target);
  const protocol = protocolIn(folder);
  if (protocol === undefined)
    throw new UsageError(`target ${target} has no socket in ${folder}; is the agent running?`);
  const { id, client, socketFile } = protocol;
  if (client === undefined)
    throw new UsageError(`${id} has no usual client; give yours the socket ${join(folder, socketFile)}`);
  const words = client.arguments?.(folder) ?? [];
  return { program: client.program, words, environment: client.environment(folder, env) };
}
