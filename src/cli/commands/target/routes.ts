import {
  type ImportedRoute,
  importRoutes,
  type ReadKind,
  readKinds,
  type WrittenRoute,
} from '../../../api-documents/index.ts';
import type { ProtocolMember } from '../../../gateway/index.ts';
import { protocols } from '../../../gateway/protocols/registry.generated.ts';
import { lineDifferences } from '../../../resources/index.ts';
import { memberById } from '../../../std/index.ts';
import {
  argument,
  type CliCommand,
  type CliContext,
  exitCodes,
  flagOption,
  listOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { chooseBase } from '../../described/choose-base.ts';
import { inDocument, readDocumentFile } from '../../described/document-file.ts';
import { addRoutes, writeRoutes } from '../../described/merge-routes.ts';
import { replaceText, type TargetInFile, targetIn } from '../../described/target-file.ts';
import { inOneLine } from '../../terminal/printable.ts';

export const command: CliCommand = {
  summary: 'Make routes of an HTTP target from an OpenAPI document or a set of protobuf descriptors.',
  arguments: '<file>',
  options: [
    ['--server <which>', "of the document's servers the one whose path is meant, by number or URL"],
    ['--under <path>', 'only operations whose path begins so'],
    ['--reads <kinds>', 'values that the routes read: query, header, body, or several with commas (default: none)'],
    ['--into <file>', 'the file of the target that they are for: what it has stays, and what is new is shown'],
    ['--target <name>', 'the target in that file, where it declares several'],
    ['--write', 'write them into that file'],
  ],
  verbatim: true,
  examples: [
    'countersign target routes openapi.yaml',
    'countersign target routes openapi.yaml --reads query,header --into target.yaml --write',
    'countersign target routes api.binpb',
  ],
  async run(context, input) {
    const file = argument(input, 0, 'the file of the document');
    const [into, isWriting] = [textOption(input, 'into'), flagOption(input, 'write')];
    if (into === undefined && (isWriting || textOption(input, 'target') !== undefined))
      throw new UsageError('--write and --target go with --into, which names the file of the target');
    const reads = kindsOf(listOption(input, 'reads'));
    const document = readDocumentFile(file);
    const target = into === undefined ? undefined : targetIn(into, textOption(input, 'target'));
    const existing = target?.routes ?? [];
    const [wrong] = problemsOf(existing);
    if (wrong !== undefined) throw new UsageError(`${into}: ${wrong}; mend that first`);
    const base = chooseBase(document, { asked: textOption(input, 'server'), urls: target?.urls ?? [] });
    const { routes, notes } = inDocument(file, () =>
      importRoutes(document, { base, under: textOption(input, 'under'), reads, existing, into: target, problemsOf }),
    );
    if (!context.json) tell(context, notes);
    const plain = routes.map(({ remark: _, ...route }) => route);
    if (into === undefined || target === undefined) {
      context.emit({ routes: plain, notes }, () => writeRoutes(routes).trimEnd());
      return exitCodes.ok;
    }
    const differences = merge(into, { target, routes, isWriting });
    context.emit(
      { routes: plain, notes, target: target.name, written: isWriting && routes.length > 0, differences },
      () => {
        if (routes.length === 0) return `${into} has a route for each operation already`;
        const end = isWriting
          ? `wrote ${count(routes)} into ${into}`
          : `${count(routes)} to add to ${into}; nothing is written without --write`;
        return [...differences, end].join('\n');
      },
    );
    return exitCodes.ok;
  },
};

/** Lines of the file that change. @throws UsageError */
function merge(
  into: string,
  {
    target,
    routes,
    isWriting,
  }: { readonly target: TargetInFile; readonly routes: readonly ImportedRoute[]; readonly isWriting: boolean },
): readonly string[] {
  const after = addRoutes(target.text, target.index, routes);
  if (after === undefined)
    throw new UsageError(
      `${into} can't be written without changing something else in it; run this without --into, and paste the routes`,
    );
  if (isWriting && after !== target.text) replaceText(into, { before: target.text, after });
  return lineDifferences(target.text, after);
}

function tell(context: CliContext, notes: readonly string[]): void {
  for (const note of notes.slice(0, NOTES_SHOWN_MAX)) context.warn(inOneLine(`note: ${note}`));
  if (notes.length > NOTES_SHOWN_MAX) context.warn(`note: ${notes.length - NOTES_SHOWN_MAX} more; --json has all`);
}

/** What the protocol says of routes, whatever else the target has. */
function problemsOf(routes: readonly WrittenRoute[]): readonly string[] {
  const member = memberById<ProtocolMember>(protocols, 'http');
  return member?.checkConfig({ url: 'http://127.0.0.1', routes }) ?? [];
}

function kindsOf(written: readonly string[]): ReadonlySet<ReadKind> {
  const kinds = written.flatMap((one) => one.split(',')).map((one) => one.trim());
  return new Set(
    kinds.map((kind) => {
      const found = readKinds.find((one) => one === kind);
      if (found === undefined)
        throw new UsageError(`--reads takes ${readKinds.join(', ')}, not ${JSON.stringify(kind)}`);
      return found;
    }),
  );
}

function count(routes: readonly unknown[]): string {
  return routes.length === 1 ? '1 route' : `${routes.length} routes`;
}

const NOTES_SHOWN_MAX = 50;
