import { runChecks } from '../../cli/doctor/run-checks.ts';
import { parseConfig } from '../../config/index.ts';
import { type Clock, createLog, createSeededRandom, createSilentLog } from '../../std/index.ts';
import type { ConditionName, RoleName } from '../health/condition-table.ts';
import { createConditions, type HealthChecks } from '../health/conditions.ts';
import { createHealthServer } from '../health/health-server.ts';
import { memberSchemas } from '../members.ts';

/** What an operator sees of one condition in each of the four places. */
export interface Told {
  /** `503 failed`, `200 degraded`; `200` and no more where it is well. */
  readonly ready: string;
  /** Severities that are 1. */
  readonly metric: readonly string[];
  /** `wrong agent server-link: what was found`. */
  readonly doctor: readonly string[];
  /** State of each line, oldest first. */
  readonly log: readonly string[];
  /** What it says, and what to do. */
  readonly found: string;
  readonly remedy: string;
}

export interface Telling<Role extends RoleName> {
  told(condition: ConditionName<Role>): Promise<Told>;
  close(): Promise<void>;
}

/** The conditions of a role, with everything that tells of them: a health server and `doctor` over it, and the log. */
export async function startTelling<Role extends RoleName>(
  role: Role,
  deps: { readonly clock: Clock; readonly checks: HealthChecks<Role> },
): Promise<Telling<Role>> {
  const lines: { condition?: string; state?: string }[] = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(JSON.parse(line)) });
  const conditions = createConditions(role, { ...deps, log });
  const server = createHealthServer({ host: '127.0.0.1', port: 0, log: createSilentLog(), conditions, metrics: [] });
  const { signal } = new AbortController();
  await conditions.start(signal);
  await server.start(signal);
  const { port } = server.address();
  return {
    async told(condition) {
      const response = await fetch(`http://127.0.0.1:${port}/ready`);
      const body = (await response.json()) as { problems?: readonly ToldProblem[] }; // As the server writes it.
      const problem = body.problems?.find((one) => one.condition === condition);
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return {
        ready: problem === undefined ? `${response.status}` : `${response.status} ${problem.severity}`,
        metric: [...metrics.matchAll(/^countersign_condition\{condition="([^"]+)",severity="([^"]+)"\} 1$/gm)].flatMap(
          ([, name, severity]) => (name === condition ? [severity ?? ''] : []),
        ),
        doctor: (await doctor(role, { port, clock: deps.clock })).filter(
          (line) => problem !== undefined && line.includes(`${problem.found} (since `),
        ),
        log: lines.flatMap((line) => (line.condition === condition ? [line.state ?? ''] : [])),
        found: problem?.found ?? '',
        remedy: problem?.remedy ?? '',
      };
    },
    async close() {
      await conditions.stop();
      await server.stop();
    },
  };
}

interface ToldProblem {
  readonly condition: string;
  readonly severity: string;
  readonly found: string;
  readonly remedy: string;
}

async function doctor(role: RoleName, { port, clock }: { port: number; clock: Clock }): Promise<readonly string[]> {
  const sections = {
    server: { listen: '127.0.0.1:1', dataDir: '/nonexistent', socket: '/nonexistent/server.sock' },
    agent: { server: '127.0.0.1:1', dataDir: '/nonexistent', socket: '/nonexistent/agent.sock' },
    gateway: { server: '127.0.0.1:1', dataDir: '/nonexistent' },
  };
  const text = JSON.stringify({ trustDomain: 'example.org', [role]: { ...sections[role], http: `127.0.0.1:${port}` } });
  const config = parseConfig({ file: 'countersign.yaml', text, members: memberSchemas, env: {} });
  const checks = await runChecks(
    {
      ...{
        say() {},
        emit() {},
        warn() {},
        json: false,
        commands: [],
        columns: 80,
        env: {},
        configPath: 'countersign.yaml',
        configNamed: true,
      },
      ...{ signal: new AbortController().signal, clock, random: createSeededRandom('doctor') },
      stdin: async () => Buffer.alloc(0),
    },
    config,
  );
  return checks.map(({ state, what, found }) => `${state} ${what}: ${found}`);
}
