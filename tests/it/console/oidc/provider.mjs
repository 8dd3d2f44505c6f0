// An identity provider for the tests: oidc-provider with accounts, groups and faults that a file describes. The file is
// read at every request, so a test changes what the provider does by writing it.
//
//   node provider.mjs MODULES PORT STATE
//
// STATE is JSON: { issuer, key, accounts: { name: { email, groups, ... } }, inToken, denies, tamper }.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { pathToFileURL } from 'node:url'

const [modules, port, stateFile] = process.argv.slice(2)
const load = path => import(pathToFileURL(`${modules}/${path}`))
const { default: Provider } = await load('oidc-provider/lib/index.js')
const jose = await load('jose/dist/webapi/index.js')

const state = () => JSON.parse(readFileSync(stateFile, 'utf8'))
const SECRET = 'a secret of the client with enough characters'

// Key pairs by number. The numbers 'foreign:N' have the id of key N and another secret.
const keys = new Map()
async function key(number) {
  if (!keys.has(number)) {
    const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true })
    const kid = `key-${String(number).replace('foreign:', '')}`
    keys.set(number, { ...(await jose.exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' })
  }
  return keys.get(number)
}

// What a fault makes of an ID token that is right.
async function tampered({ id_token: token, access_token: access }, fault, number) {
  const claims = jose.decodeJwt(token)
  const sign = async (changes, by = number, alg = 'RS256') => {
    const jwk = await key(by)
    const signer = new jose.SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg, kid: jwk.kid })
    return signer.sign(await jose.importJWK(jwk, alg))
  }
  const unsigned = (header, claims) =>
    [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  switch (fault) {
    case 'nonce': return sign({ nonce: 'of another sign-in' })
    case 'no nonce': return sign({ nonce: undefined })
    case 'audience': return sign({ aud: 'another client' })
    case 'further audience': return sign({ aud: [claims.aud, 'another client'] })
    case 'issuer': return sign({ iss: 'https://another.example' })
    case 'expired': return sign({ exp: claims.iat - 60 })
    case 'at_hash': return sign({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' })
    // Nothing is wrong: the provider does not add the hash by itself.
    case 'right at_hash': {
      const hash = createHash('sha256').update(access).digest()
      return sign({ at_hash: hash.subarray(0, 16).toString('base64url') })
    }
    case 'foreign key': return sign({}, `foreign:${number}`)
    case 'unknown key': return sign({}, `unknown`)
    case 'no signature': return `${unsigned({ alg: 'none' }, claims)}.`
    case 'shared secret': {
      const signer = new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256' })
      return signer.sign(new TextEncoder().encode(SECRET))
    }
    case 'changed': {
      const [header, , signature] = token.split('.')
      return `${header}.${unsigned(claims, { ...claims, groups: ['larder admins'] }).split('.')[1]}.${signature}`
    }
    default: return token
  }
}

const providers = new Map()
async function provider({ issuer, key: number, inToken }) {
  const name = JSON.stringify([issuer, number, inToken])
  if (providers.has(name)) return providers.get(name)
  const made = new Provider(issuer, {
    clients: [{ client_id: 'larder', client_secret: SECRET, redirect_uris: ['https://larder.example/'] }],
    jwks: { keys: [await key(number)] },
    cookies: { keys: ['a key of cookies'] },
    claims: {
      openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'], groups: ['groups'],
    },
    scopes: ['openid', 'email', 'profile', 'groups'],
    conformIdTokenClaims: !inToken,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    findAccount(_, id) {
      const claims = state().accounts[id]
      return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) }
    },
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
      })
      grant.addOIDCScope('openid email profile groups')
      await grant.save()
      return grant
    },
  })
  made.proxy = true
  // Which port Larder has is not known yet.
  made.Client.prototype.redirectUriAllowed = uri =>
    ['127.0.0.1', 'localhost'].includes(new URL(uri).hostname)
  made.Client.prototype.postLogoutRedirectUriAllowed = uri => new URL(uri).pathname === '/console/sign-in'
  made.use(async (ctx, next) => {
    await next()
    const { tamper, key: number } = state()
    if (ctx.path === '/token' && tamper && ctx.body?.id_token) {
      ctx.body = { ...ctx.body, id_token: await tampered(ctx.body, tamper, number) }
    }
  })
  providers.set(name, made)
  return made
}

async function interaction(request, response, made) {
  const { denies } = state()
  if (request.method !== 'POST') {
    response.setHeader('Content-Type', 'text/html')
    response.end('<!doctype html><title>Provider</title><form method="post"><input name="login"><button>Go</button></form>')
    return
  }
  let body = ''
  for await (const chunk of request) body += chunk
  const login = new URLSearchParams(body).get('login')
  const result = denies
    ? { error: denies, error_description: '<script>alert(1)</script>' }
    : { login: { accountId: login } }
  await made.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

createServer(async (request, response) => {
  try {
    const now = state()
    if (now.issuer.startsWith('https:')) request.headers['x-forwarded-proto'] = 'https'
    const made = await provider(now)
    if (request.url.startsWith('/interaction/')) await interaction(request, response, made)
    else made.callback()(request, response)
  } catch (error) {
    console.error(error)
    response.statusCode = 500
    response.end(String(error))
  }
}).listen(Number(port), '127.0.0.1')
