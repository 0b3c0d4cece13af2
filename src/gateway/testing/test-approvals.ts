import type { Approvals, HeldQuestion, HoldAnswer } from '../approvals/approvals.ts';

/** A question that was put. */
export interface TestQuestion {
  readonly question: HeldQuestion;
  readonly subject: { readonly [name: string]: unknown };
  readonly shown: { readonly [name: string]: unknown };
  /** Aborts when nobody waits any more. */
  readonly signal: AbortSignal;
  answer(answer: HoldAnswer): void;
  approve(): void;
  deny(reason?: string): void;
}

/** People who answer as a test says. */
export function createTestApprovals() {
  const asked: TestQuestion[] = [];
  let arrived = Promise.withResolvers<void>();
  const approvals: Approvals = {
    hold(question, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<HoldAnswer>();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      const id = `a${asked.length + 1}`;
      question.waiting(id);
      asked.push({
        ...{ question, signal, answer: resolve },
        subject: JSON.parse(question.subject.toString()),
        shown: JSON.parse(question.shown.toString()),
        approve: () => resolve({ state: 'approved', approval: { id, by: ['ann'], statement: 'f'.repeat(64) } }),
        deny: (reason = 'not today') => resolve({ state: 'denied', approval: id, reason }),
      });
      arrived.resolve();
      arrived = Promise.withResolvers();
      return promise;
    },
  };
  return {
    approvals,
    asked,
    /** Resolves to the question of that number, from 1 on. */
    async question(number: number): Promise<TestQuestion> {
      for (;;) {
        const found = asked[number - 1];
        if (found !== undefined) return found;
        await arrived.promise;
      }
    },
  };
}
