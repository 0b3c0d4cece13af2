import { shellWord } from '../../src/cli/terminal/shell-word.ts';

/** What of the stage somebody needs who goes on by hand. */
export interface Place {
  readonly directory: string;
  /** Runs the command line with the stage's configuration. */
  readonly command: string;
  readonly targetSocketDir: string;
  /** Who may be the service `orders`: another user, or whoever runs this program. */
  readonly orders: { readonly uid: number } | { readonly node: string; readonly script: string };
  readonly hasPsql: boolean;
}

/** The lines to try, each for a shell, with what it is for. */
export function invitation({ directory, command, targetSocketDir, orders, hasPsql }: Place): readonly string[] {
  const asOrders =
    'uid' in orders
      ? [
          '# be the service orders',
          `setpriv --reuid ${orders.uid} --clear-groups \\`,
          `  ${shellWord(command)} connect shop`,
        ]
      : [
          '# be the service orders: its program reads and deletes, as in the tour',
          `${shellWord(orders.node)} \\`,
          `  ${shellWord(orders.script)} \\`,
          `  ${shellWord(targetSocketDir)}`,
        ];
  return [
    `alias cs=${shellWord(command)}`,
    ...(hasPsql ? [] : ['# install psql first (Debian: postgresql-client)']),
    'cs connect shop                # psql without a password: read customers',
    'cs ledger tail --follow        # what you do, as it happens',
    'cs policy who-can select shop/public.customers',
    'cs policy explain shop --as spiffe://example.org/orders \\',
    "  --sql 'delete from customers'",
    ...('uid' in orders ? ['cs connect api -- -sS http://api/v1/customers/1'] : []),
    ...asOrders,
    '# change what is allowed, and see who changed it',
    `\${EDITOR:-vi} ${shellWord(`${directory}/resources/shop.cedar`)}`,
    `cs apply -f ${shellWord(`${directory}/resources`)}`,
    'cs policy log',
  ];
}
