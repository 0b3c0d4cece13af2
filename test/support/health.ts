/** What an operator sees of a role's health in a running stack: /ready, the metric, doctor and the log. */
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import type { Stack } from './stack.ts';
import type { RoleName } from './stack-folder.ts';

export interface SeenProblem {
  readonly condition: string;
  readonly severity: string;
  readonly what: string;
  readonly found: string;
  readonly remedy: string;
  readonly since: string;
}

/** What `/ready` of a role says is wrong. */
export async function problemsOf(stack: Stack, role: RoleName): Promise<readonly SeenProblem[]> {
  const response = await fetch(`http://${stack.folder.http[role]}/ready`, { signal: AbortSignal.timeout(5000) });
  const body = (await response.json()) as { problems?: readonly SeenProblem[] }; // As the role writes it.
  return body.problems ?? [];
}

/** Waits until the role says so at `/ready`, and expects it in the metric, in the log and in doctor too. */
export async function expectCondition(
  stack: Stack,
  role: RoleName,
  wanted: { condition: string; severity: string; found: RegExp; withinMs?: number },
): Promise<SeenProblem> {
  const { condition, severity, found, withinMs = 60_000 } = wanted;
  const fits = (one: SeenProblem) => one.condition === condition && one.severity === severity && found.test(one.found);
  const look = async () => {
    const problems = await problemsOf(stack, role);
    const problem = problems.find(fits);
    if (problem === undefined) throw new Error(`${role} says ${JSON.stringify(problems)}`);
    return problem;
  };
  const problem = await eventually(`${role}: ${condition} ${severity}`, look, { withinMs, everyMs: 200 });
  expect(await metricOf(stack, role, condition)).toContain(severity);
  await eventually(`the line of ${condition}`, () => linesOf(stack, role, condition).at(-1)?.state === severity);
  const doctor = await stack.cli(['doctor', '--json'], { user: stack.users[role] });
  const { checks } = JSON.parse(doctor.stdout) as {
    checks: readonly { state: string; found: string; remedy?: string }[];
  }; // As doctor writes it.
  expect(checks).toContainEqual(
    expect.objectContaining({
      state: severity === 'warning' ? 'odd' : 'wrong',
      found: expect.stringMatching(found),
      remedy: expect.any(String),
    }),
  );
  if (severity !== 'warning') expect(doctor.code).toBe(1);
  return problem;
}

/** Waits until the role says nothing more of it, and expects the same of the metric and the log. */
export async function expectWell(stack: Stack, role: RoleName, condition: string, withinMs = 60_000): Promise<void> {
  const isWell = async () => (await problemsOf(stack, role)).every((one) => one.condition !== condition);
  await eventually(`${role}: ${condition} is well`, isWell, { withinMs, everyMs: 200 });
  expect(await metricOf(stack, role, condition)).toEqual([]);
  const told = () => {
    const state = linesOf(stack, role, condition).at(-1)?.state;
    return state === undefined || state === 'ok';
  };
  await eventually(`the line that ${condition} is well`, told);
}

async function metricOf(stack: Stack, role: RoleName, condition: string): Promise<readonly string[]> {
  const text = await (await fetch(`http://${stack.folder.http[role]}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`countersign_condition{condition="${condition}",`));
  expect(lines).toHaveLength(3);
  return lines.flatMap((line) => (line.endsWith(' 1') ? [/severity="(\w+)"/.exec(line)?.[1] ?? ''] : []));
}

/** Of the process that runs: what one before it said last is not taken back by the next. */
function linesOf(stack: Stack, role: RoleName, condition: string): readonly { state: string }[] {
  return stack.roles[role]
    .runLogs()
    .split('\n')
    .filter((line) => line.includes('"app.condition.changed"') && line.includes(`"condition":"${condition}"`))
    .map((line): { state: string } => JSON.parse(line));
}
