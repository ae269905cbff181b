// A customer with a browser: follows redirects, keeps cookies, and fills in the login form. No script is run.

const cookies = new Map();

async function open(url, form) {
  const headers = { 'accept-language': 'en', 'sec-fetch-site': form ? 'same-origin' : 'none' };
  if (cookies.size) headers.cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  if (form) headers.origin = new URL(url).origin;
  const response = await fetch(url, { method: form ? 'POST' : 'GET', body: form, headers, redirect: 'manual' });
  for (const line of response.headers.getSetCookie?.() ?? [response.headers.get('set-cookie') ?? '']) {
    const [, name, value] = line.match(/^([^=;]+)=([^;]*)/) ?? [];
    if (name && /max-age=0/i.test(line)) cookies.delete(name);
    else if (name) cookies.set(name, value);
  }
  return response;
}

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&#x27;': "'" };
const decode = (text) => text.replace(/&(?:amp|lt|gt|quot|#39|#x27);/g, (entity) => entities[entity]);

// The form with this action: where it goes and what its hidden fields hold.
function formOf(page, address, action) {
  const form = page.match(new RegExp(`<form[^>]*action="${action}"[^>]*>.*?</form>`, 's'))?.[0];
  if (!form) return undefined;
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    fields.set(decode(input.match(/name="([^"]*)"/)[1]), decode(input.match(/value="([^"]*)"/)[1]));
  }
  return { url: new URL(action, address).href, fields };
}

/** Goes from the authorization URL to the callback, and answers the callback's URL. It is not fetched. */
export async function signIn(authorizationUrl, redirectUri, { email, password }) {
  let [url, body] = [String(authorizationUrl), undefined];
  for (let step = 0; step < 20; step += 1) {
    if (url.startsWith(redirectUri)) return new URL(url);
    const response = await open(url, body);
    const location = response.headers.get('location');
    if (location) {
      [url, body] = [new URL(location, url).href, undefined];
      continue;
    }
    const page = await response.text();
    const [login, consent] = [formOf(page, url, '/login/password'), formOf(page, url, '/consent')];
    if (login && step < 10) {
      login.fields.set('email', email);
      login.fields.set('password', password);
      [url, body] = [login.url, login.fields];
    } else if (consent) {
      consent.fields.set('decision', 'allow');
      [url, body] = [consent.url, consent.fields];
    } else {
      throw new Error(`no way on from ${response.status} ${url}:\n${page}`);
    }
  }
  throw new Error(`the way to ${redirectUri} does not end`);
}
