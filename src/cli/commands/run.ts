import { messageOf } from '../../std/index.ts';
import { type CliCommand, type CliContext, UsageError } from '../command.ts';
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

export const command: CliCommand = {
  summary:
    'Run a command whose connections go to a target: sets the variables of its clients, with an address for those that can not use sockets.',
  arguments: '[target]',
  passThrough: { words: 'command...', needed: true },
  options: [targetOption, targetsOption],
  examples: ['countersign run orders -- pg_dump --schema-only', 'countersign run -- node app.js'],
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
    const target = chooseTarget(directory, named);
    const { environment } = targetClient(directory, target, context.env);
    const way = await openWay(context, { directory, target });
    try {
      const child = startChild(program, rest, { ...context.env, ...environment, ...way?.variables });
      if (child.pid !== undefined) way?.door.serve(child.pid);
      return await child.ended;
    } catch (error) {
      throw isTarget && error instanceof UsageError ? misplaced(error) : error;
    } finally {
      await way?.door.close();
    }
  },
};

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
