import { createHash } from 'node:crypto';
import { PolicyError } from '../errors.ts';
import { type PolicyJson, UnsupportedError } from '../expressions/cedar-json.ts';
import { AnnotationError } from '../obligations/annotation-error.ts';
import { parseObligations, type WrittenObligations } from '../obligations/obligations.ts';
import { type CompiledPolicy, compilePolicy } from '../policy-set/compile-policy.ts';
import { createPolicySet } from '../policy-set/decide.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import type { CompiledPolicies, PolicyProblem, PolicySource, PolicySummary } from '../types.ts';
import { approvalWarning } from './approval.ts';
import { type CedarFinding, parsePolicy, validatePolicies } from './cedar.ts';
import { placeOfAnnotation } from './find-in-text.ts';
import { type FormOf, type ParsedForms, writeForms } from './parsed-forms.ts';
import { type PolicyText, splitPolicies } from './split.ts';

/** What `policy check` says of policy texts. `compiled` is there when no problem is an error. */
export interface PolicyReport {
  /** In the order of sources and places; errors and warnings mixed. */
  readonly problems: readonly PolicyProblem[];
  readonly compiled: CompiledPolicies | undefined;
}

/** Loads policies again and again against one schema, and remembers Cedar's findings about the texts that stay. */
export interface PolicyLoader {
  /**
   * Parses, validates and compiles policies: all of them, or none.
   * @throws PolicyError with every problem found; code and message are those of the first
   */
  load(sources: readonly PolicySource[]): CompiledPolicies;
  /** Does all that `load` does, and gives every error and warning as a value. @throws PolicyError ERR_POLICY_PARSER */
  check(sources: readonly PolicySource[]): PolicyReport;
  /** What it has parsed, for whoever asks those policies without Cedar; undefined when one of them is wrong. @throws PolicyError ERR_POLICY_PARSER */
  parsed(sources: readonly PolicySource[]): ParsedForms | undefined;
}

/**
 * Creates a loader. Reading ten thousand policies takes seconds the first time, and a fraction of one after a change. Of a text that has a form
 * nothing is asked of Cedar, and so it has no warnings.
 */
export function createPolicyLoader(schema: PolicySchema, formOf: FormOf = () => undefined): PolicyLoader {
  let known: ReadonlyMap<string, KnownText> = new Map();

  function check(sources: readonly PolicySource[]): PolicyReport {
    const found = readSources(sources, { before: known, formOf, schema });
    // Texts that are gone are forgotten, so what is remembered never outgrows one set.
    known = found.known;
    const { problems } = found;
    const policies = hasError(problems) ? [] : compileAll(found.policies, schema, problems);
    const order = new Map(sources.map((source, index) => [source.name, index]));
    problems.sort((a, b) => comparePlaces(a, b, order));
    if (hasError(problems)) return { problems, compiled: undefined };
    const digest = digestOf(sources, schema);
    return { problems, compiled: createPolicySet({ policies, schema, digest, isValidated: true }) };
  }

  return {
    check,
    parsed(sources) {
      if (check(sources).compiled === undefined) return undefined;
      return writeForms(new Map(Array.from(known).flatMap(([text, { json }]) => (json ? [[text, json]] : []))), schema);
    },
    load(sources) {
      const { compiled, problems } = check(sources);
      if (compiled !== undefined) return compiled;
      const errors = problems.filter((problem) => problem.severity === 'error');
      const [first] = errors;
      const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
      const message = first === undefined ? 'policies could not be loaded' : `${formatProblem(first)}${more}`;
      throw new PolicyError(first?.code ?? 'ERR_POLICY_INVALID', message, { problems: errors });
    },
  };
}

/** Loads policies once. @throws PolicyError @see PolicyLoader.load */
export function loadPolicies(sources: readonly PolicySource[], schema: PolicySchema): CompiledPolicies {
  return createPolicyLoader(schema).load(sources);
}

/** Checks policies once. @throws PolicyError ERR_POLICY_PARSER @see PolicyLoader.check */
export function checkPolicies(sources: readonly PolicySource[], schema: PolicySchema): PolicyReport {
  return createPolicyLoader(schema).check(sources);
}

/**
 * As {@link checkPolicies}, without Cedar for the texts that have a form; their warnings are left out. The texts have the last word: whatever a form makes a problem of
 * is checked without any.
 * @throws PolicyError ERR_POLICY_PARSER
 */
export function checkParsed(sources: readonly PolicySource[], schema: PolicySchema, formOf: FormOf): PolicyReport {
  try {
    const report = createPolicyLoader(schema, formOf).check(sources);
    if (report.compiled !== undefined) return report;
  } catch {
    // A form that was garbage where nobody had looked.
  }
  return checkPolicies(sources, schema);
}

/** `access.cedar:3:14: error: …`, as compilers print it, so that editors find the place. */
export function formatProblem({ position, severity, message, help }: PolicyProblem): string {
  const hint = help === undefined ? '' : ` (${help})`;
  return `${position.source}:${position.line}:${position.column}: ${severity}: ${message}${hint}`;
}

/** What Cedar says of a text alone, wherever it stands. */
interface KnownText {
  /** Undefined when the text is no policy. */
  readonly json: PolicyJson | undefined;
  readonly findings: readonly CedarFinding[];
}

/** What is known before Cedar is asked. */
interface Asking {
  readonly before: ReadonlyMap<string, KnownText>;
  readonly formOf: FormOf;
  readonly schema: PolicySchema;
}

interface ParsedPolicy {
  readonly text: PolicyText;
  readonly json: PolicyJson;
  readonly obligations: WrittenObligations;
}

interface ReadSources {
  readonly known: ReadonlyMap<string, KnownText>;
  readonly policies: ReadonlyMap<string, ParsedPolicy>;
  readonly problems: PolicyProblem[];
}

function readSources(sources: readonly PolicySource[], asking: Asking): ReadSources {
  const problems: PolicyProblem[] = [];
  const texts = splitAll(sources, problems);
  const known = askCedar(texts, asking);
  const policies = new Map<string, ParsedPolicy>();
  for (const { text, fallbackId } of texts) {
    const { json, findings } = known.get(text.text) ?? { json: undefined, findings: [] };
    const id = json?.annotations?.['id'] ?? fallbackId;
    const policy = json === undefined ? undefined : id;
    for (const { offset, ...finding } of findings)
      problems.push({ ...finding, policy, position: text.position(offset) });
    if (json === undefined) continue;
    const refuse = (code: PolicyProblem['code'], message: string) =>
      problems.push(problemAt(text.position(0), code, message, id));
    const other = policies.get(id)?.text.position(0);
    if (other !== undefined) {
      refuse(
        'ERR_POLICY_DUPLICATE_ID',
        `the id ${JSON.stringify(id)} is taken by the policy at ${other.source}:${other.line}`,
      );
      continue;
    }
    try {
      policies.set(id, { text, json, obligations: parseObligations(json.annotations ?? {}, json.effect) });
    } catch (error) {
      if (!(error instanceof AnnotationError)) throw error;
      refuse('ERR_POLICY_ANNOTATION', error.message);
    }
  }
  return { known, policies, problems };
}

function splitAll(sources: readonly PolicySource[], problems: PolicyProblem[]) {
  const texts: { readonly text: PolicyText; readonly fallbackId: string }[] = [];
  const names = new Set<string>();
  for (const source of sources) {
    const start = { source: source.name, line: 1, column: 1 };
    if (names.has(source.name))
      problems.push(
        problemAt(start, 'ERR_POLICY_DUPLICATE_ID', `two sources are named ${JSON.stringify(source.name)}`),
      );
    names.add(source.name);
    try {
      for (const [index, text] of splitPolicies(source).entries())
        texts.push({ text, fallbackId: `${source.name}#${index + 1}` });
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      problems.push(...error.problems);
    }
  }
  const surplus = texts[POLICIES_MAX];
  if (surplus !== undefined)
    problems.push(
      problemAt(surplus.text.position(0), 'ERR_POLICY_LIMIT', `a set has at most ${POLICIES_MAX} policies`),
    );
  return texts.slice(0, POLICIES_MAX);
}

function askCedar(
  texts: readonly { readonly text: PolicyText }[],
  { before, formOf, schema }: Asking,
): ReadonlyMap<string, KnownText> {
  const known = new Map<string, KnownText>();
  const parsed = new Map<string, PolicyJson>();
  for (const { text } of texts.map((one) => one.text)) {
    if (known.has(text) || parsed.has(text)) continue;
    const remembered = before.get(text) ?? withForm(formOf(text));
    const answer = remembered === undefined ? parsePolicy(text) : undefined;
    if (remembered !== undefined) known.set(text, remembered);
    else if (answer !== undefined && 'json' in answer) parsed.set(text, answer.json);
    else if (answer !== undefined) known.set(text, { json: undefined, findings: [answer.finding] });
  }
  const findings = validatePolicies(Array.from(parsed.keys()), schema.json);
  for (const [index, [text, json]] of Array.from(parsed).entries())
    known.set(text, { json, findings: findings[index] ?? [] });
  return known;
}

function withForm(json: PolicyJson | undefined): KnownText | undefined {
  return json && { json, findings: [] };
}

function compileAll(
  policies: ReadonlyMap<string, ParsedPolicy>,
  schema: PolicySchema,
  problems: PolicyProblem[],
): CompiledPolicy[] {
  const compiled: CompiledPolicy[] = [];
  for (const [id, { text, json, obligations }] of policies) {
    const position = text.position(0);
    const description = json.annotations?.['description'] ?? undefined;
    const reason = json.annotations?.['reason'] ?? undefined;
    const { expiresMs } = obligations;
    const summary = { id, effect: json.effect, position, description, reason, expiresMs, text: text.text };
    try {
      compiled.push(compilePolicy({ json, obligations, summary }, schema));
      const { approval: rule } = obligations;
      const held = rule === undefined ? [] : sessionsIn(compiled.at(-1)?.actions ?? [], schema);
      if (rule !== undefined && held.length > 0) problems.push(approvalWarning(summary, { rule, actions: held }));
    } catch (error) {
      if (error instanceof AnnotationError) problems.push(misapplied(summary, error));
      else if (error instanceof UnsupportedError)
        problems.push(problemAt(position, 'ERR_POLICY_UNSUPPORTED', `policies can not use ${error.message}`, id));
      else throw error;
    }
  }
  return compiled;
}

/** Those of the actions by which sessions begin. */
function sessionsIn(actions: readonly string[], schema: PolicySchema): readonly string[] {
  const sessions = new Set(Array.from(schema.actions.values(), ({ session }) => session));
  return actions.filter((action) => sessions.has(action)).sort();
}

/** An annotation that says something, and not on this policy. */
function misapplied(summary: PolicySummary, { annotation = '', message, help }: AnnotationError): PolicyProblem {
  const place = placeOfAnnotation(summary, annotation);
  const told = `@${annotation} of ${JSON.stringify(summary.id)} can't apply: ${message}`;
  return { ...problemAt(place, 'ERR_POLICY_ANNOTATION', told, summary.id), help };
}

function problemAt(
  position: PolicyProblem['position'],
  code: PolicyProblem['code'],
  message: string,
  policy?: string,
): PolicyProblem {
  return { severity: 'error', code, message, help: undefined, policy, position };
}

function hasError(problems: readonly PolicyProblem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

function comparePlaces(a: PolicyProblem, b: PolicyProblem, order: ReadonlyMap<string, number>): number {
  const bySource = (order.get(a.position.source) ?? 0) - (order.get(b.position.source) ?? 0);
  return bySource || a.position.line - b.position.line || a.position.column - b.position.column;
}

function digestOf(sources: readonly PolicySource[], schema: PolicySchema): string {
  const texts = sources.map(({ name, text }) => [name, text]);
  return createHash('sha256')
    .update(JSON.stringify([schema.digest, texts]))
    .digest('hex');
}

/** A thousand teams with twenty policies each; validating them takes seconds, deciding does not notice. */
const POLICIES_MAX = 20_000;
