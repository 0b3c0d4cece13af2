import { expect, it } from 'vitest';
import { encodeProblem } from './index.ts';

const problem = { status: 403, title: 'no', reason: 'policy', hint: 'ask for it' };

it('an answer says once what went wrong, and is kept by nobody', () => {
  const [head, body] = encodeProblem(problem, { close: false }).toString().split('\r\n\r\n');
  expect(head?.split('\r\n')).toEqual([
    'HTTP/1.1 403 Forbidden',
    'content-type: application/problem+json',
    'cache-control: no-store',
    `content-length: ${body?.length}`,
  ]);
  expect(JSON.parse(body ?? '')).toEqual({ type: 'about:blank', ...problem });
});

it('names policies, and the time to wait', () => {
  const whole = encodeProblem({ ...problem, policies: ['a'] }, { close: true, retryAfterS: 3 }).toString();
  expect(whole).toContain('\r\nretry-after: 3\r\n');
  expect(whole).toContain('\r\nconnection: close\r\n');
  expect(whole).toContain('"policies":["a"]');
});

it('to HEAD it is the same without its body', () => {
  const withBody = encodeProblem(problem, { close: false }).toString();
  const without = encodeProblem(problem, { close: false, answersHead: true }).toString();
  expect(without).toBe(withBody.slice(0, withBody.indexOf('\r\n\r\n') + 4));
});
