import { Questions as QuestionsContract } from '@countersign/sdk/contract';
import { isOneLine } from '../../model/index.ts';
import { answerLimits, type Questions } from '../../questions/index.ts';
import { implement, type RpcService } from '../../rpc/index.ts';
import type { Authorizer } from '../authorize.ts';
import { invalid } from '../status.ts';
import { gatewayOf } from './gateway-caller.ts';

/** Where gateways answer. */
export function questionsService(deps: {
  questions: Pick<Questions, 'answer'>;
  authorizer: Pick<Authorizer, 'callerOf'>;
}): RpcService {
  return implement(QuestionsContract, {
    async answer(request, context) {
      const gateway = gatewayOf(deps.authorizer.callerOf(context), request);
      const { questionId, attempt, page, last, body, problem } = request;
      if (!ID.test(questionId) || !ATTEMPT.test(attempt)) throw invalid('no question and no attempt is called that');
      if (problem.length > answerLimits.problem || !isOneLine(problem))
        throw invalid(`a problem is one line of ${answerLimits.problem} characters at most`);
      return { over: await deps.questions.answer(gateway, { questionId, attempt, page, last, body, problem }) };
    },
  });
}

const ID = /^[0-9a-f]{32}$/;
const ATTEMPT = /^[A-Za-z0-9_-]{0,64}$/;
