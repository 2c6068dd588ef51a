// Counts the visits of each visitor, without Express.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createStore } from "./store.mjs";

const sessions = new (createStore())({ url: process.env.KVSERVER_URL });
const AGE_S = 1800;

async function answer(request, response) {
  let id = /(?:^|; )sid=([\w-]{43})(?:;|$)/.exec(request.headers.cookie)?.[1];
  let session = id && await sessions.get(id);
  if (request.method === "POST" && request.url === "/leave") {
    if (session) await sessions.destroy(id);
    return response.setHeader("Set-Cookie", "sid=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/").end("goodbye\n");
  }
  // An id that the server has not issued, or no longer knows, is never used.
  if (!session) [id, session] = [randomBytes(32).toString("base64url"), { visits: 0 }];
  session = { visits: session.visits + 1, cookie: { maxAge: AGE_S * 1000 } };
  await sessions.set(id, session);
  // With TLS in front: also `Secure`.
  response.setHeader("Set-Cookie", `sid=${id}; Max-Age=${AGE_S}; HttpOnly; SameSite=Lax; Path=/`);
  response.end(`visit ${session.visits}\n`);
}

const server = createServer((request, response) => answer(request, response).catch(error => {
  console.error(error.message);
  response.writeHead(503).end("not available\n");
}));
server.listen(process.env.PORT ?? 8081, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));
