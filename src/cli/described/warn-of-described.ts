import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Control } from '@countersign/sdk/contract';
import { Value } from 'typebox/value';
import { type ApiDocument, createDescription, type Description, type MaskedField } from '../../api-documents/index.ts';
import { declaredKinds } from '../../app/declared-kinds.ts';
import { policySchema } from '../../app/policy-schema.ts';
import { ConfigError, type Declared, type DescribedBy, parseDeclared } from '../../config/index.ts';
import {
  checkPolicies,
  didYouMean,
  type PolicyPosition,
  type PolicyProblem,
  type PotentialMask,
  partsOfId,
  placeOfAnnotation,
  type ResourceScope,
} from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { type CliInput, UsageError } from '../command.ts';
import { filesOf, type PolicyFilesReport } from '../declared/policy-files.ts';
import { specOf } from '../declared/specs.ts';
import { inFiles } from '../declared/warn-of-names.ts';
import { inDocument, readDocumentFile } from './document-file.ts';
import { HttpSpec } from './http-spec.ts';

/**
 * Holds declared targets against the documents that they name, and masks of the policies that are declared with them. Nothing is refused for what they
 * find; a document that can't be read is. @throws UsageError, DocumentError
 */
export function warnOfDescribed(declared: readonly Declared[], policies: PolicyFilesReport): readonly PolicyProblem[] {
  return findingsOf(declared, (name, description, describedBy) => [
    ...routeWarnings(description, describedBy),
    ...maskWarnings(name, description, policies),
  ]);
}

/**
 * The same for masks of policies that are at the server alone, of which the position is the policy's name there. @throws RpcError, UsageError, DocumentError
 */
export async function warnOfStandingMasks(
  client: RpcClient,
  declared: readonly Declared[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<readonly PolicyProblem[]> {
  if (declared.every(({ describedBy }) => describedBy === undefined)) return [];
  const { resources } = await client.unary(Control.method.listResources, { kind: 'Policy' }, options);
  const own = new Set(declared.filter(({ kind }) => kind === 'Policy').map(({ name }) => name));
  const sources = resources.filter(({ name }) => !own.has(name));
  // A set that this version can't read is the server's to refuse.
  const { compiled } = checkPolicies(
    sources.map(({ name, specJson }) => ({ name, text: String(specOf(specJson)['cedar']) })),
    policySchema,
  );
  const standing = { compiled, problems: [], fileOf: (name: string) => `Policy ${name} at the server` };
  return findingsOf(declared, (name, description) => maskWarnings(name, description, standing));
}

/** OpenAPI documents that lie among the resources, and that no target names. */
export function warnOfUnnamed(documents: readonly string[], declared: readonly Declared[]): readonly PolicyProblem[] {
  const named = new Set(
    declared.flatMap(({ where, describedBy }) =>
      describedBy === undefined ? [] : [resolve(fileOf(where, describedBy))],
    ),
  );
  return documents
    .filter((file) => !named.has(resolve(file)))
    .map((file) =>
      warning(
        'this is an OpenAPI document and no resource, and is left out',
        'a target that it describes names it by describedBy, and is held against it then',
        { source: file, line: 1, column: 1 },
      ),
    );
}

function fileOf(where: string, { path }: DescribedBy): string {
  return resolve(dirname(positionOf(where).source), path);
}

function findingsOf(
  declared: readonly Declared[],
  find: (name: string, description: Description, describedBy: DescribedBy) => readonly PolicyProblem[],
): readonly PolicyProblem[] {
  const documents = new Map<string, ApiDocument>();
  return declared.flatMap((resource) => {
    const { describedBy, name, spec } = resource;
    if (describedBy === undefined) return [];
    const named = `${describedBy.where(['describedBy'])}: describedBy: `;
    if (!Value.Check(HttpSpec, spec))
      throw new UsageError(`${named}it describes HTTP targets, and ${name} is another one; leave it away`);
    const file = fileOf(resource.where, describedBy);
    const document = documents.get(file) ?? readDocumentFile(file, named);
    documents.set(file, document);
    const target = {
      document,
      routes: spec.routes ?? [],
      refusesUnlisted: spec.unlisted === 'refuse',
    };
    return inDocument(file, () => find(name, createDescription(target, didYouMean), describedBy), named);
  });
}

/**
 * The same for the YAML files among the arguments of a check of policies, of which other keys are nobody's business here: a file that can't be read as
 * resources is left to `apply`. @throws UsageError, DocumentError
 */
export function warnOfDescribedInFiles(input: CliInput, policies: PolicyFilesReport): readonly PolicyProblem[] {
  const declared = filesOf(input, /\.ya?ml$/).flatMap((file): readonly Declared[] => {
    const text = readFileSync(file, 'utf8');
    if (!DESCRIBED.test(text)) return [];
    try {
      return parseDeclared({ file, text, kinds: declaredKinds });
    } catch (error) {
      if (error instanceof ConfigError) return [];
      throw error;
    }
  });
  return warnOfDescribed(declared, policies);
}

function routeWarnings(description: Description, { where }: DescribedBy): readonly PolicyProblem[] {
  return description
    .routeFindings()
    .map(({ place, message, help }) =>
      warning(message, help, positionOf(where(place.length === 0 ? ['describedBy'] : ['spec', ...place]))),
    );
}

/** Of policies on this target alone: what the answers of several have may well be there in another's. */
function maskWarnings(name: string, description: Description, policies: PolicyFilesReport): readonly PolicyProblem[] {
  const { compiled } = policies;
  if (compiled === undefined) return [];
  const summaries = new Map(compiled.policies.map((summary) => [summary.id, summary]));
  const found = compiled.names().masks.flatMap((mask): PolicyProblem[] => {
    const summary = summaries.get(mask.policy);
    const actions = new Set(compiled.scopesOf(mask.policy)?.actions);
    const field = summary && maskedField(mask, name, actions);
    const finding = field && description.maskFinding(field);
    if (summary === undefined || finding === undefined) return [];
    const message = `policy ${JSON.stringify(mask.policy)} ${finding.message}`;
    return [{ ...warning(message, finding.help, placeOfAnnotation(summary, 'mask')), policy: mask.policy }];
  });
  return inFiles(found, policies);
}

/** Undefined when the policy is not about the target alone. */
function maskedField(
  { scope, on, hasWildcard }: PotentialMask,
  target: string,
  actions: ReadonlySet<string>,
): MaskedField | undefined {
  const reading = on.get(ROUTE) ?? on.get(ORIGIN);
  if (reading === undefined || scope.op === 'any' || scope.op === 'is' || partsOfId(scope.id)[0] !== target)
    return undefined;
  return {
    ...{ path: reading.own.slice(1), hasWildcard },
    reachesRoute: (name) => reachesRoute(scope, name),
    reachesRest: scope.type !== ROUTE && !(scope.op === 'in' && scope.is === ROUTE),
    takesMethod: (method) => actions.has(ACTIONS.has(method) ? `http:${method.toLowerCase()}` : 'http:other'),
  };
}

/** Of a scope within the route's target. */
function reachesRoute(scope: Exclude<ResourceScope, { op: 'any' | 'is' }>, name: string): boolean {
  if (scope.op === 'in' && scope.is !== undefined && scope.is !== ROUTE) return false;
  return scope.type === ROUTE ? partsOfId(scope.id)[1] === name : scope.op === 'in';
}

function warning(message: string, help: string | undefined, position: PolicyPosition): PolicyProblem {
  return { severity: 'warning', code: 'ERR_POLICY_NAME', message, help, policy: undefined, position };
}

/** `file:line:column`. */
function positionOf(where: string): PolicyPosition {
  const [, source = where, line, column] = PLACE.exec(where) ?? [];
  return { source, line: Number(line ?? 1), column: Number(column ?? 1) };
}

const DESCRIBED = /\bdescribedBy["']?\s*:/;
const PLACE = /^(.*):(\d+):(\d+)$/s;
const ROUTE = 'Http::Route';
const ORIGIN = 'Http::Origin';
const ACTIONS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']);
