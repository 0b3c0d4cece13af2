// A small API that wants a key with each request: PORT and API_KEY come from the environment.
import { createServer } from 'node:http';

const customers = [
  { id: 1, name: 'Ada Lovelace', email: 'ada@example.org', ssn: '123-45-6789' },
  { id: 2, name: 'Grace Hopper', email: 'grace@example.org', ssn: '987-65-4321' },
];

createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  };
  if (request.headers.authorization !== `Bearer ${process.env.API_KEY}`)
    return answer(401, { error: 'a key is needed' });
  const [, version, noun, id] = new URL(request.url, 'http://api').pathname.split('/');
  if (version !== 'v1' || noun !== 'customers') return answer(404, { error: 'no such thing' });
  if (id === undefined) return answer(200, { items: customers });
  const found = customers.find((customer) => String(customer.id) === id);
  if (found === undefined) return answer(404, { error: 'no such customer' });
  if (request.method === 'DELETE') customers.splice(customers.indexOf(found), 1);
  return answer(200, found);
}).listen(Number(process.env.PORT ?? 8085), '127.0.0.1');
