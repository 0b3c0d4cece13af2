import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ownFolderOf } from '../../../app/workers/own-folder.ts';
import { copyLedger } from '../../../ledger/index.ts';
import { argument, type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { ledgerOptions, reportLines, verifierKey, verifierKeyPath } from '../../ledger/folder.ts';
import { ledgerFolders } from '../../ledger/ledgers.ts';
import { reportValue, verifyAll } from '../../ledger/verify-all.ts';
import { shellWord } from '../../terminal/shell-word.ts';
import { formatCommand, wrapLines } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Copy a ledger and its public key into a new folder, while its role writes on, and verify the copy.',
  arguments: '<dir>',
  options: [
    ['--key <file>', 'public key of the ledger (default: ledger.vkey beside its folder)'],
    [
      '--checkpoint <file...>',
      'a signed checkpoint kept elsewhere, such as that of the last backup, which the ledger must lead to',
    ],
    ...ledgerOptions,
  ],
  examples: [
    'countersign ledger backup /backup/gateway-2026-12-01',
    'countersign ledger backup /backup/server-2026-12-01 --of server --checkpoint /backup/server-2026-11-30/ledger/checkpoint',
  ],
  async run(context, input) {
    const to = resolve(argument(input, 0, 'the folder for the copy'));
    const ledgers = ledgerFolders(context, input);
    for (const { directory } of ledgers) verifierKey(input, directory); // Without it nothing is begun.
    if (existsSync(to) && readdirSync(to).length > 0)
      throw new UsageError(`${to} is not empty; a backup goes into a folder of its own, so that it spoils no other`);
    const { signal } = context;
    // Under its own name it is whole and verified; what was cut off is left under this one.
    const unfinished = `${to}.unfinished`;
    if (existsSync(unfinished))
      throw new UsageError(`${unfinished} is there, of a backup that came to no good end; look at it and remove it`);
    mkdirSync(unfinished, { recursive: true, mode: 0o700 });
    const copies = ledgers.map(({ directory: from, worker }) => {
      const folder = ownFolderOf(unfinished, worker ?? 1);
      return { from, folder, directory: join(folder, 'ledger'), worker };
    });
    for (const { from, folder, directory } of copies) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      await copyLedger(from, directory, { signal });
      copyFileSync(verifierKeyPath(input, from), join(folder, 'ledger.vkey'));
    }
    const reports = await verifyAll(copies, context, input);
    const lines = () => reports.flatMap((one) => reportLines(one, context.columns));
    if (!reports.every(({ ok }) => ok)) {
      context.emit({ ...reportValue(reports), dir: unfinished }, () =>
        [
          ...lines(),
          wrapLines(`The copy is left in ${unfinished}.`, context.columns),
          'Look at it, and at the ledger with `countersign ledger verify`.',
        ].join('\n'),
      );
      return exitCodes.no;
    }
    if (existsSync(to)) rmdirSync(to); // Fails when somebody has put something there meanwhile.
    renameSync(unfinished, to);
    const named = ledgers.length === 1 ? join(to, 'ledger') : to;
    const again = formatCommand(`countersign ledger verify --dir ${shellWord(named)}`, {
      columns: context.columns,
      indent: 2,
    });
    context.emit({ ...reportValue(reports), dir: to }, () =>
      [...lines(), wrapLines(`The copy is in ${to}. To verify it again:`, context.columns), `  ${again}`].join('\n'),
    );
    return exitCodes.ok;
  },
};
