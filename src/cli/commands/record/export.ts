import { resolve } from 'node:path';
import type { ApiClient } from '@countersign/sdk/client';
import type { ExportFormat } from '../../../records/index.ts';
import { messageOf } from '../../../std/index.ts';
import {
  argument,
  type CliCommand,
  type CliContext,
  type CliInput,
  exitCodes,
  flagOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { patiently } from '../../connections/patiently.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import {
  beginExportFolder,
  type ExportFolder,
  exportFiles,
  makeExportFolder,
  resumeExportFolder,
} from '../../record/export-folder.ts';
import { recordFilter, recordOptions, spanOptions } from '../../record/record-options.ts';
import { shellWord } from '../../terminal/shell-word.ts';

export const command: CliCommand = {
  summary: 'Write all entries that a filter selects into a folder, with a manifest that proves that it is all.',
  arguments: '<dir>',
  options: [
    ['--format <format>', 'jsonl: an entry a line, as it was signed; csv: for spreadsheets', 'jsonl'],
    ['--resume', 'go on with the one in that folder, which was cut off; at any server'],
    ...recordOptions,
    ...spanOptions,
    ...restOptions,
  ],
  examples: [
    'countersign record export ./denials --kind denial --since 1h',
    'countersign record export ./november --since 2026-11-01 --until 2026-12-01 --format csv',
    'countersign record export ./november --resume',
  ],
  async run(context, input) {
    const directory = resolve(argument(input, 0, 'the folder for the export'));
    const folder = flagOption(input, 'resume')
      ? await resume(context, input, directory)
      : await begin(context, input, directory);
    if (folder === undefined) {
      context.emit({ dir: directory, whole: true }, () => `The export in ${directory} is whole already.`);
      return exitCodes.ok;
    }
    try {
      await readAll(context, input, folder);
    } catch (error) {
      const go = `countersign record export ${shellWord(directory)} --resume`;
      context.warn(`cut off after ${folder.lines} lines (${messageOf(error)}); go on with \`${go}\``);
      throw error;
    } finally {
      await folder.close();
    }
    const { lines, format } = folder;
    const file = exportFiles.lines(directory, format);
    context.emit({ dir: directory, file, format, lines, manifest: exportFiles.manifest(directory) }, () =>
      [
        `Wrote ${lines} lines to ${file}, and what proves that they are all beside it.`,
        `Whoever has the folder and the key of the server (witness.vkey) checks it: \`countersign record verify-export ${shellWord(directory)} --key witness.vkey\``,
      ].join('\n'),
    );
    return exitCodes.ok;
  },
};

async function begin(context: CliContext, input: CliInput, directory: string): Promise<ExportFolder> {
  const format = formatOf(input);
  const asked = recordFilter(input, context.clock.now());
  makeExportFolder(directory);
  const { id } = await withRest(context, input, async (client) => {
    const { signal } = context;
    return (await client.call('record-export.create', { ...asked, format }, { signal })).output;
  });
  return beginExportFolder(directory, { id, format, random: context.random });
}

async function resume(context: CliContext, input: CliInput, directory: string): Promise<ExportFolder | undefined> {
  if (Object.keys(recordFilter(input, context.clock.now())).length > 0)
    throw new UsageError('--resume goes on with what was begun: no filter goes with it');
  return resumeExportFolder(directory, context.random);
}

async function readAll(context: CliContext, input: CliInput, folder: ExportFolder): Promise<void> {
  const { signal } = context;
  const { id } = folder;
  for (;;) {
    const { cursor } = folder;
    const asked = cursor === undefined ? { id } : { id, cursor };
    const { lines, next, note } = await ask(
      context,
      input,
      async (client) => (await client.call('record-export.read', asked, { signal })).output,
    );
    await folder.add(lines, next);
    if (note === undefined) {
      if (next === undefined) throw new Error('the server answered with neither more lines nor what it says of them');
      continue;
    }
    const { logs } = await ask(
      context,
      input,
      async (client) => (await client.call('record-export.get', { id }, { signal })).output,
    );
    await folder.finish(note, logs);
    return;
  }
}

/** Asks once more where the server, or the way to it, is away for a moment. */
function ask<T>(context: CliContext, input: CliInput, work: (client: ApiClient) => Promise<T>): Promise<T> {
  return patiently(context, () => withRest(context, input, work));
}

function formatOf(input: CliInput): ExportFormat {
  const format = textOption(input, 'format') ?? 'jsonl';
  if (format === 'jsonl' || format === 'csv') return format;
  throw new UsageError(`there is no format ${format}; formats are jsonl and csv`);
}
