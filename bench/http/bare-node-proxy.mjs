// The program of `bare-node.ts`: node:https with a client certificate that is verified, node:http upstream, a line for each request.
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';

const { port, upstreamPort, tls, authorization, log } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 64 });
const lines = fs.createWriteStream(log);
const options = {
  cert: fs.readFileSync(tls.cert),
  key: fs.readFileSync(tls.key),
  ca: fs.readFileSync(tls.ca),
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.3',
};

https
  .createServer(options, (request, response) => {
    const { method, url, headers } = request;
    const forwarded = http.request(
      { agent, host: '127.0.0.1', port: upstreamPort, method, path: url, headers: { ...headers, authorization } },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
        lines.write(`${Date.now()} ${method} ${url} ${answer.statusCode}\n`);
      },
    );
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  })
  .listen(port, '127.0.0.1');
