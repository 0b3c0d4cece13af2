/**
 * Questions to gateways: asked at any server, answered by every gateway that is there, whichever server it watches.
 *
 * It promises: a question reaches each gateway that is present, also one that moves to another server meanwhile; whoever asks gets whole answers
 * alone, each as that of the gateway whose connection brought it, and by name those that did not answer; nothing of a question is left
 * in the store once it is over, be it that its server was killed. It must not know what is asked: a question has a kind and bytes.
 */
export { errorTable, QuestionsError } from './errors.ts';
export { questionsMigrations } from './migrations.ts';
export { createQuestions, type QuestionsDeps } from './questions.ts';
export { keyOf as gatewayKey } from './rows.ts';
export {
  type AnsweredPage,
  type AnsweringGateway,
  answerLimits,
  type GatewayAddress,
  type Gathered,
  type OpenQuestion,
  type Question,
  type Questions,
  type QuestionWatch,
  type UnansweredGateway,
} from './types.ts';
