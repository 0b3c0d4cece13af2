import { bytesKept, encodedByte, percentDecoded, percentEncoded, utf8Text } from './percent.ts';
import { foldedName } from './query.ts';
import { type MeaningRefusal, refusal } from './refusal.ts';

/** The parts of a target, both in canonical form; `query` with its `?`, or empty. */
export interface TargetParts {
  readonly path: string;
  readonly query: string;
}

/**
 * The target of a request that is signed for that service: all but unreserved characters encoded, so that the signature's own form of it, which servers
 * make anew, says what is sent. What that form would alter, merge or lose is refused.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signedTarget({ path, query }: TargetParts, service: string): string | MeaningRefusal {
  if (path.includes(';'))
    return refusal('http-path', 'the path has a semicolon, which no signed one has', 'leave what follows the ; away');
  if (service === 's3' && /%2f/i.test(path))
    return refusal('http-path', 'the path has an encoded slash, which S3 takes for one', 'write /');
  if (service !== 's3' && path.includes('//'))
    return refusal('http-path', 'the path has an empty segment, which a signature merges', 'write one / alone');
  const pairs = signedQuery(query.slice(1), service);
  if (typeof pairs !== 'string') return pairs;
  return `${path.replace(/[^A-Za-z0-9\-._~/%]/g, (sign) => encodedByte(sign.charCodeAt(0)))}${pairs}`;
}

function signedQuery(query: string, service: string): string | MeaningRefusal {
  if (query === '') return '';
  if (query.includes(';')) return refused('the query has a semicolon, which some servers take for &', 'write %3B');
  const pairs = query.split('&');
  if (pairs.length > PAIRS_MAX) return refused(`the query has more than ${PAIRS_MAX} pairs`, 'ask for less at once');
  const names = new Set<string>();
  const written: string[] = [];
  for (const pair of pairs) {
    const cut = pair.indexOf('=');
    const name = strictly(cut < 0 ? pair : pair.slice(0, cut));
    const value = cut < 0 ? '' : strictly(pair.slice(cut + 1));
    if (name === undefined || value === undefined)
      return refused('the query is not UTF-8 when decoded', 'percent-encode it as UTF-8');
    const problem = nameProblem(name);
    if (problem !== undefined) return problem;
    if (service === 's3' && names.has(name))
      return refused('the query has a name twice, of which S3 reads one', 'send each name once');
    names.add(name);
    written.push(cut < 0 ? name : `${name}=${value}`);
  }
  return `?${written.join('&')}`;
}

function nameProblem(name: string): MeaningRefusal | undefined {
  if (name === '' || name === '__proto__')
    return refused('the query has a name that can not be signed', 'leave that pair away');
  const folded = foldedName(name);
  if (folded.startsWith('x-amz-') || folded === 'awsaccesskeyid')
    return refused(
      'the query has a signature, or a part of one',
      'send the request itself, not a presigned address: the gateway signs it',
    );
  return undefined;
}

/** A blank for `+`, as all who verify signatures read it. Undefined: it is no UTF-8. */
function strictly(raw: string): string | undefined {
  const { bytes } = percentDecoded(raw.replaceAll('+', '%20'));
  return utf8Text(bytes) === undefined ? undefined : percentEncoded(bytes, UNRESERVED);
}

function refused(message: string, hint: string): MeaningRefusal {
  return refusal('http-query', message, hint);
}

const UNRESERVED = bytesKept('');
/** As many as the signing library reads. */
const PAIRS_MAX = 1_000;
