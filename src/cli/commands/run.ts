import { messageOf } from '../../std/index.ts';
import { type CliCommand, type CliContext, type CliInput, flagOption, textOption, UsageError } from '../command.ts';
import {
  chooseTarget,
  namedTarget,
  targetClient,
  targetLoopback,
  targetOption,
  targetsDir,
  targetsIn,
  targetsOption,
} from '../connections/targets.ts';
import { type Door, openDoor } from '../door/open-door.ts';
import { startChild } from '../processes/run-child.ts';
import { openProxy } from '../proxy/open-proxy.ts';

export const command: CliCommand = {
  summary:
    'Run a command whose connections go to a target: sets the variables of its clients, with an address for those that can not use sockets, or a proxy for those that have the address built in.',
  arguments: '[target]',
  passThrough: { words: 'command...', needed: true },
  options: [
    targetOption,
    targetsOption,
    [
      '--proxy',
      'lead requests for the hosts that targets list to those targets, by the variables of a proxy for it alone',
    ],
    ['--proxy-others <way>', 'what becomes of requests for other hosts: pass (they go there) or refuse', 'pass'],
  ],
  examples: [
    'countersign run orders -- pg_dump --schema-only',
    'countersign run -- node app.js',
    'countersign run --proxy -- python3 report.py',
  ],
  async run(context, input) {
    const named = namedTarget(input);
    const [program, ...rest] = input.handedOn ?? [];
    if (program === undefined) throw new UsageError(`the command to run is missing: ${USE}`);
    const directory = targetsDir(context, input);
    const targets = targetsIn(directory);
    const misplaced = (cause?: unknown) =>
      new UsageError(`${program} is a target; the command comes behind --: ${USE}`, { cause });
    // With one target it may be a program of that name.
    const isTarget = named === undefined && targets.includes(program);
    if (isTarget && targets.length > 1) throw misplaced();
    const others = othersOf(input);
    // By a proxy several targets are reached at once.
    const hasTarget = others === undefined || named !== undefined || targets.length === 1;
    const target = hasTarget ? chooseTarget(directory, named) : undefined;
    const environment = target === undefined ? {} : targetClient(directory, target, context.env).environment;
    const proxy = others && (await openProxy(context, { directory, targets, preferred: named, others }));
    const way = target === undefined ? undefined : await openWay(context, { directory, target });
    try {
      const variables = { ...environment, ...way?.variables, ...proxy?.variables };
      const child = startChild(program, rest, { ...context.env, ...variables });
      for (const door of [way?.door, proxy?.door]) if (child.pid !== undefined) door?.serve(child.pid);
      return await child.ended;
    } catch (error) {
      throw isTarget && error instanceof UsageError ? misplaced(error) : error;
    } finally {
      await Promise.all([way?.door.close(), proxy?.close()]);
    }
  },
};

/** Where a proxy sends what is no target's; undefined: no proxy is wanted. @throws UsageError */
function othersOf(input: CliInput): 'pass' | 'refuse' | undefined {
  const others = textOption(input, 'proxyOthers') ?? 'pass';
  if (others !== 'pass' && others !== 'refuse') throw new UsageError(`--proxy-others is pass or refuse, not ${others}`);
  if (flagOption(input, 'proxy')) return others;
  if (others !== 'pass') throw new UsageError('--proxy-others says something of the proxy: add --proxy');
  return undefined;
}

/** The door for clients that can't use the target's socket, and what they are told of it; undefined where there are none, or no address for it. */
async function openWay(
  context: CliContext,
  { directory, target }: { directory: string; target: string },
): Promise<{ readonly door: Door; readonly variables: Readonly<Record<string, string>> } | undefined> {
  const loopback = targetLoopback(directory, target);
  if (loopback === undefined) return undefined;
  try {
    const { clock, warn } = context;
    const door = await openDoor({ socket: loopback.socket, clock, warn });
    return { door, variables: loopback.variables(door.address) };
  } catch (error) {
    // Most clients do without.
    context.warn(`countersign: no address for clients that can not use sockets: ${messageOf(error)}`);
    return undefined;
  }
}

const USE = 'countersign run [TARGET] -- COMMAND';
