import { it } from 'vitest';
import { startPostgres } from '../../../../../test/support/postgres.ts';
import { loadParser } from './index.ts';
import { createShop, openClient, readCatalog, shopSql } from './testing/shop.ts';

it('tries', async () => {
  await loadParser();
  const s = await startPostgres({ databases: ['shop'] });
  const c = await openClient(s, 'shop');
  await c.query(shopSql);
  const cat = await readCatalog(c, 1);
  const shop = createShop(cat);
  const web = (sql: string, as = 'web') => {
    const p = shop.plan(sql, { as });
    console.log(
      sql,
      '\n   =>',
      p.verdict === 'refuse'
        ? `${p.reason} ${p.sqlstate} ${p.message} [${p.policies}]`
        : JSON.stringify(
            p.statements.map((x) => [
              x.kind,
              x.touches.map((t) => `${t.action} ${t.resource}`).join(';'),
              x.masks && { n: x.masks.columnsMasked, a: [...x.masks.byAttribute] },
              x.writes,
              x.withhold,
              x.copy,
              x.rowsMax,
              x.record,
            ]),
          ),
    );
  };
  const { readFileSync } = await import('node:fs');
  for (const line of readFileSync('/tmp/sqls.txt', 'utf8').split('\n').filter(Boolean)) {
    const m = /^(plain|admin):(.*)$/.exec(line);
    m ? web(m[2] ?? '', m[1]) : web(line);
  }
  await c.end();
  await s.stop();
});
