import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Control, Questions } from '@countersign/sdk/contract';
import type { Question } from '@countersign/sdk/contract/gen/countersign/control/v1/questions_pb.ts';
import {
  EndAnswerSchema,
  EndQuestionSchema,
  type LiveSessionSchema,
  SessionsAnswerSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { eventually } from '../../../test/support/eventually.ts';
import type { TestServer } from './test-server.ts';

export type SessionAnswer = (question: Question) => Uint8Array;

/** A gateway that watches until the signal, and answers so. */
export async function connectGateway(
  server: TestServer,
  { name, answer, signal }: { readonly name: string; readonly answer: SessionAnswer; readonly signal: AbortSignal },
) {
  const client = server.client(await server.identify(`/countersign/gateway/${name}`));
  const own = { advertise: `${name}:7443`, instance: name };
  const asked: Question[] = [];
  const stream = client.serverStream(
    Control.method.watchGateway,
    { ...own, principals: true, questions: true },
    { signal },
  );
  const watch = async () => {
    for await (const { question } of stream) {
      if (question === undefined) continue;
      asked.push(question);
      const page = { questionId: question.id, attempt: 'a', page: 0, last: true, body: answer(question) };
      await client.unary(Questions.method.answer, { ...own, ...page }, { signal });
    }
  };
  watch().catch(() => {}); // The test ends it.
  await eventually('it is there', () => server.resources.gateways().some(({ address }) => address === own.advertise));
  return { client, asked, own };
}

export const session = (more: MessageInitShape<typeof LiveSessionSchema> = {}) => ({
  ...{ id: 'abc1', identity: 'spiffe://example.org/web', target: 'shop', door: 'agent', ageMs: 5_000n, ...more },
});

/** Answers with those sessions, and ends what it is told to. */
export function holding(...sessions: MessageInitShape<typeof LiveSessionSchema>[]): SessionAnswer {
  return ({ kind, body }) => {
    if (kind === 'sessions.end')
      return toBinary(EndAnswerSchema, create(EndAnswerSchema, { ended: fromBinary(EndQuestionSchema, body).ids }));
    const answer = create(SessionsAnswerSchema, { sessions, matching: BigInt(sessions.length) });
    return toBinary(SessionsAnswerSchema, answer);
  };
}
