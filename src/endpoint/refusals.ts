import { EndpointError, type InputProblem } from './errors.ts';

/** There is nothing of the name that was asked for. */
export function notFound(message: string): EndpointError {
  return new EndpointError('ERR_ENDPOINT_NOT_FOUND', message);
}

/** What was to be changed is not as the caller saw it. */
export function notAsSeen(message: string, cause?: unknown): EndpointError {
  return new EndpointError('ERR_ENDPOINT_CHANGED', message, { cause });
}

/** What was asked for is not taken, for those reasons; nothing was done. */
export function notTaken(message: string, problems: readonly InputProblem[], cause?: unknown): EndpointError {
  return new EndpointError('ERR_ENDPOINT_REFUSED', message, { cause, problems });
}
