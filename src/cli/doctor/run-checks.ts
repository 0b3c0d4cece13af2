import { lstatSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { conditionTable, type RoleName } from '../../app/health/condition-table.ts';
import { clockIsSynchronised } from '../../app/health/machine-clock.ts';
import { freeMib, ROOM_MIB_MIN } from '../../app/health/process-checks.ts';
import { type Config, parseAddress } from '../../config/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { codeOf, messageOf, timeoutSignal } from '../../std/index.ts';
import type { CliContext } from '../command.ts';
import { fetchOwnSvid, whyDefault } from '../connections/own-svid.ts';
import { targetsIn } from '../connections/targets.ts';
import { whyUnreached } from '../connections/unreached.ts';
import { shellWord } from '../terminal/shell-word.ts';
import { askReady } from './ask-ready.ts';
import type { Check } from './check.ts';
import { checkExpired } from './expired-check.ts';
import { isListening } from './is-listening.ts';
import { checkServer } from './server-checks.ts';

/** Looks at the machine and at each role that the configuration has a section for. */
export async function runChecks(context: CliContext, config: Config | undefined): Promise<Check[]> {
  const checks = [checkPlatform(), checkKernel(), checkConfig(context, config)];
  if (config) checks.push(checkClock());
  if (config?.server)
    checks.push(
      ...checkFolder('server data', config.server.dataDir),
      ...(await checkRole('server', config.server)),
      ...(await checkExpired(context, config.server.socket)),
    );
  if (config?.agent) {
    checks.push(
      ...checkFolder('agent data', config.agent.dataDir),
      ...(await checkRole('agent', config.agent)),
      await checkWorkloadApi(context, config.agent.socket),
    );
    checks.push(checkTargets(config.agent.targetsDir));
  }
  if (config?.gateway)
    checks.push(
      ...checkFolder('gateway data', config.gateway.dataDir),
      ...(await checkRole('gateway', config.gateway)),
    );
  // Last, as it leaves out what the roles of this machine have said themselves.
  if (config?.server) checks.push(...(await checkServer(context, config, checks)));
  return checks;
}

function checkPlatform(): Check {
  const found = `${platform()} ${arch()}, Node ${process.versions.node}`;
  if (platform() === 'linux') return { what: 'platform', state: 'good', found };
  return {
    what: 'platform',
    state: 'wrong',
    found,
    remedy: 'agents need Linux: only its kernel tells who is at the other end of a socket',
  };
}

function checkKernel(): Check {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 5))
    return { what: 'kernel', state: 'good', found: `${release()}: callers are pinned by SO_PEERPIDFD` };
  return {
    what: 'kernel',
    state: 'odd',
    found: release(),
    remedy: 'from Linux 6.5 on a caller is pinned without any race; older ones compare start times instead',
  };
}

/** Where all roles run on one machine there is no other clock to hold its own against. */
function checkClock(): Check {
  const what = 'clock';
  switch (clockIsSynchronised()) {
    case true:
      return { what, state: 'good', found: 'kept right, the kernel says' };
    case false:
      return {
        what,
        state: 'odd',
        found: 'nothing keeps it right, the kernel says',
        remedy: 'see that it is right (`date`), and run an NTP client: identities are good for times by the clock',
      };
    case undefined:
      return { what, state: 'good', found: 'the kernel does not say whether it is kept right' };
  }
}

function checkConfig(context: CliContext, config: Config | undefined): Check {
  if (!config)
    return {
      what: 'configuration',
      state: 'odd',
      found: `no ${context.configPath}`,
      remedy: 'write one with `countersign init`, or name it with --config',
    };
  const roles = (['server', 'agent', 'gateway'] as const).filter((role) => config[role] !== undefined);
  return {
    what: 'configuration',
    state: 'good',
    found: `${context.configPath}: ${roles.join(', ') || 'no role'}, trust domain ${config.trustDomain}`,
  };
}

function checkFolder(what: string, path: string): Check[] {
  try {
    return lookAtFolder(what, path);
  } catch (error) {
    const remedy = 'run this as the user of that role, or with sudo';
    return [{ what, state: 'odd', found: `this user may not look: ${messageOf(error)}`, remedy }];
  }
}

function lookAtFolder(what: string, path: string): Check[] {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat)
    return [{ what, state: 'odd', found: `no ${path}`, remedy: 'it is made when the role starts for the first time' }];
  if (!stat.isDirectory()) return [{ what, state: 'wrong', found: `${path} is no folder`, remedy: 'move it away' }];
  const open = stat.mode & 0o077;
  if (open !== 0)
    return [
      {
        what,
        state: 'wrong',
        found: `${path} may be read by others (mode ${(stat.mode & 0o777).toString(8)})`,
        remedy: `chmod 700 ${shellWord(path)}`,
      },
    ];
  return [{ what, state: 'good', found: path }];
}

/** What the role says of itself; of one that says nothing, whether there is room for what it keeps. */
async function checkRole(
  role: RoleName,
  section: { readonly http?: string; readonly listen?: string; readonly dataDir: string },
): Promise<Check[]> {
  const { http, listen, dataDir } = section;
  if (http === undefined) return checkRoom(role, dataDir);
  const what = `${role} ready`;
  const { host, port } = parseAddress(http);
  try {
    const { status, body } = await askReady({ host, port, timeoutMs: PROBE_TIMEOUT_MS });
    const { reasons = [], problems = [] } = Value.Check(READY_BODY, body) ? body : {};
    const found = reasons.join('; ') || `status ${status}`;
    const isTold = problems.some(({ severity }) => severity === 'failed');
    const remedy = isTold ? 'see the lines below' : `see the log of the ${role}`;
    const ready: Check =
      status === 200 ? { what, state: 'good', found: http } : { what, state: 'wrong', found, remedy };
    return [ready, ...problems.map((problem) => checkOf(role, problem))];
  } catch (error) {
    const why = error instanceof DOMException ? messageOf(error) : (codeOf(error) ?? messageOf(error));
    const found = `${http} does not answer: ${why}`;
    const remedy = why === 'ECONNREFUSED' ? startIt(role) : takenBy(`${role}.http`, port);
    const taken = why === 'ECONNREFUSED' ? await checkDoor(role, listen) : [];
    return [{ what, state: 'wrong', found, remedy }, ...taken, ...checkRoom(role, dataDir)];
  }
}

/** Whether something else is where a role would listen that does not run. */
async function checkDoor(role: RoleName, listen: string | undefined): Promise<Check[]> {
  if (listen === undefined) return [];
  const { host, port } = parseAddress(listen);
  if (!(await isListening({ host, port, timeoutMs: PROBE_TIMEOUT_MS }))) return [];
  const found = `${listen} is in use, and the ${role} is not what uses it: it can't start`;
  return [{ what: `${role} port`, state: 'wrong', found, remedy: takenBy(`${role}.listen`, port) }];
}

function startIt(role: RoleName): string {
  return `start it with \`countersign ${role}\`; where it ends again, its last line says why`;
}

function takenBy(setting: string, port: number): string {
  return `\`sudo ss -ltnp 'sport = :${port}'\` shows what has the port: stop that, or set ${setting} to another`;
}

/** One condition of the role: {@link conditionTable} has all that there are. */
function checkOf(role: RoleName, problem: Static<typeof PROBLEM>): Check {
  const { what, condition, found, since, severity, remedy } = problem;
  return {
    // One of several of its kind has a name; a condition is one of the role.
    what: what === condition ? `${role} ${condition}` : what,
    state: severity === 'warning' ? 'odd' : 'wrong',
    found: since === undefined ? found : `${found} (since ${since})`,
    remedy,
  };
}

async function checkWorkloadApi(context: CliContext, socket: string): Promise<Check> {
  const what = 'own identity';
  const timeout = timeoutSignal(context.clock, PROBE_TIMEOUT_MS);
  try {
    const svid = await fetchOwnSvid(context, socket, timeout.signal);
    const why = whyDefault(svid);
    return { what, state: 'good', found: why === undefined ? svid.spiffeId : `${svid.spiffeId} (${why})` };
  } catch (error) {
    const remedy =
      error instanceof RpcError && error.code === Code.PERMISSION_DENIED
        ? `only for a user who is a client: an entry with its selectors, such as unix:uid:${process.geteuid?.()} (countersign entry create)`
        : whyUnreached(error, { role: 'agent', connect: { unix: socket }, option: 'agent.socket' }).remedy;
    return { what, state: 'odd', found: messageOf(error), remedy };
  } finally {
    timeout.cancel();
  }
}

function checkTargets(directory: string): Check {
  const targets = targetsIn(directory);
  if (targets.length > 0) return { what: 'target sockets', state: 'good', found: targets.join(', ') };
  return {
    what: 'target sockets',
    state: 'odd',
    found: `none in ${directory}`,
    remedy: 'declare a target and run `countersign apply`; the agent makes the socket',
  };
}

function checkRoom(role: RoleName, directory: string): Check[] {
  const free = freeMib(directory);
  if (free === undefined) return []; // Closed to this user, or not there; the folder's own line says so.
  const what = `room for the ${role}`;
  const found = `${free} MiB free below ${directory}`;
  if (free >= ROOM_MIB_MIN) return [{ what, state: 'good', found }];
  return [{ what, state: 'wrong', found, remedy: conditionTable.room.remedy }];
}

const PROBLEM = Type.Object({
  ...{ what: Type.String(), found: Type.String(), remedy: Type.String() },
  condition: Type.Optional(Type.String()),
  severity: Type.Optional(Type.String()),
  since: Type.Optional(Type.String()),
});
/** What `/ready` of a role answers, as far as it matters here. */
const READY_BODY = Type.Object({
  reasons: Type.Optional(Type.Array(Type.String())),
  problems: Type.Optional(Type.Array(PROBLEM)),
});
const PROBE_TIMEOUT_MS = 3000;
