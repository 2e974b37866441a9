// SPDX-License-Identifier: Apache-2.0
//
// Writes vectors.jsonl: what Node and lodash really do, for vectors_test.go to compare with. Not part of any build.
// Run it, in a folder where `npm install lodash@4.17.21` was run, as
//
//	node vectors.js [random cases per operation, default 60] [seed, default 1] > vectors.jsonl
//
// A line is one case:
//
//	{doc | docHex, want}             want: the bytes of JSON.parse(doc) as text, null if it throws
//	{doc | docHex, entries}          entries: [key, bytes as text] of {...JSON.parse(doc)}
//	{doc | docHex, path, want}       want: the bytes of the property, null if it is missing or inherited
//	{base64, wantHex}                Buffer.from(base64, 'base64')
'use strict'
const path = require('path')
const dir = path.join(process.cwd(), 'node_modules', 'lodash')
const { get, hasIn } = require(dir)
const castPath = require(path.join(dir, '_castPath'))

const count = Number(process.argv[2] || 60)
let state = Number(process.argv[3] || 1)

// rnd is a small linear generator: the same seed gives the same file.
function rnd (n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor(state / 4294967296 * n)
}
const pick = list => list[rnd(list.length)]
const times = (n, f) => Array.from({ length: n }, f)
const wellFormed = s => Buffer.from(s, 'utf8').toString('utf8')
const text = v => wellFormed(typeof v === 'object' ? JSON.stringify(v) : String(v))
const emit = o => process.stdout.write(JSON.stringify(o).replace(/[\u007f-\uffff]/g,
  c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')) + '\n')

function docOf (bytes) {
  const s = bytes.toString('utf8')
  return Buffer.from(s).equals(bytes) ? { doc: s } : { docHex: bytes.toString('hex') }
}
function parsed (bytes) {
  try { return { value: JSON.parse(bytes.toString('utf8')) } } catch (e) { return null }
}
function parseCase (bytes) {
  const p = parsed(bytes)
  emit({ ...docOf(bytes), want: p && text(p.value) })
}
function entriesCase (bytes) {
  const p = parsed(bytes)
  if (!p) return
  const spread = { ...p.value }
  emit({ ...docOf(bytes), entries: Object.keys(spread).map(k => [wellFormed(k), text(spread[k])]) })
}
// own says whether every step of the way is an own property, not one of the prototype.
function own (value, where) {
  for (const key of castPath(where, value)) {
    if (!Object.prototype.hasOwnProperty.call(value, key)) return false
    value = value[key]
    if (value == null) value = Object.create(null)
  }
  return true
}
function getCase (bytes, where) {
  const p = parsed(bytes)
  if (!p) return
  const found = hasIn(p.value, where) && own(p.value, where)
  emit({ ...docOf(bytes), path: where, want: found ? text(get(p.value, where)) : null })
}
function base64Case (s) {
  s = wellFormed(s)
  emit({ base64: s, wantHex: Buffer.from(s, 'base64').toString('hex') })
}

// ---- chosen by hand -------------------------------------------------------------------------------------------------

const docs = [
  '', ' ', '{', '}', '[', ']', '[1,]', '{"a":1,}', '{,}', '[,]', '{"a"}', '{"a":}', '{a:1}', "{'a':1}", '1 2', '{} {}', '[1 2]',
  'nul', 'nulll', 'null', ' null ', 'NULL', 'true', 'false', 'True', 'undefined', 'NaN', 'Infinity', '-Infinity', '-', '+1', '01', '-01',
  '00', '.5', '5.', '-.5', '1e', '1e+', '1E-', '1.e1', '0x10', '1_000', '1n', '0', '-0', '-0.0', '0e5', '[-0]', '1.50', '1.0', '100e-2', '1E5',
  '12345678901234567890', '9007199254740993', '1e21', '1e20', '999999999999999900000', '123456789012345680000', '1e-6', '1e-7', '0.00000123',
  '1.5e-10', '1e400', '-1e400', '[1e400,-1e400]', '{"a":1e999}', '1e-400', '5e-324', '4.9e-324', '2.4703282292062328e-324', '2.2250738585072014e-308',
  '1.7976931348623157e308', '1.7976931348623159e308', '0.1', '0.30000000000000004', '123e-20', '4.35', '1e23', '5e-7', '-1.5e+300', '1' + '0'.repeat(400),
  '0.' + '0'.repeat(400) + '1', '3.' + '14159265358979323846'.repeat(50),
  '""', '"str"', '"a', '"\\', '"\\"', '"\\x41"', '"\\\'"', '"\\/"', '"\\u00e9"', '"\\u00E9"', '"\\u00g0"', '"\\u12"', '"\\U0041"', '"\\0"', '"\t"', '"\n"',
  '"\\b\\f\\n\\r\\t\\"\\\\"', '["\\b\\f\\n\\r\\t\\"\\\\\\/"]', '["\\u0000\\u0001\\u001f\\u007f\\u0080"]', '["<>&\'\u2028\u2029\u007f"]', '"\x00"', '"\x1f"', '"\x7f"',
  '"\u2028"', '"\\ud83d\\ude00"', '["\\ud83d\\ude00"]', '"\\ud83d"', '["\\ud83d"]', '["\\ude00\\ud83d"]', '["\\uD83D\\uD83D\\uDE00\\uDE00"]', '["\\ud83dx\\ude00"]',
  '["\\ud83d\\u0041"]', '["\\ud83d\\n"]', '"\\ud83d\\u12"', '{"\\ud83d":1,"\\ud83e":2}', '["\\ufffd\\ufffe\\uffff"]', '["\ufeff"]', '["\ud7a3\ud7ff\ue000"]', '["\\ud7ff\\ud800\\udbff\\udc00\\udfff\\ue000"]', '\ufeff{}', '["\ud83d\ude00\u00e9"]',
  '\u00a0{}', '{}\u2028', '\v1', '\f1', '1\0', '{}\0', '\t\n\r {\t"a"\n:\r1 ,"b" : [ ] }\n', '/**/1', '1//', '[1,2', '{"a":1', '[]', '{}', '[[]]', '[{}]', '[[],{}]',
  '{"b":1,"10":2,"2":3,"a":4,"01":5}', '{"b":1,"4294967295":2,"4294967294":4,"1":3,"01":7,"9007199254740993":1,"4294967296":0,"-1":2,"a":0,"b":9,"1":8}',
  '{"a":1,"b":2,"a":3}', '{"2":1,"1":2,"2":3}', '{"a":{"x":1},"a":{"y":2}}', '{"__proto__":1}', '{"__proto__":{"a":1}}', '{"toString":1,"toJSON":2,"constructor":3}',
  '{"":1}', '{"a":[1,"x",null,true,{"y":{}}],"n":null}', '["x",{"y":1}]', '"abc"', '5', '{"n":1,"o":{"p":1},"nul":null,"b":false}', '"\u00e9\\ud83d\\ude00z"',
  '{"i":1,"h":2,"g":3,"f":4,"e":5,"d":6,"c":7,"b":8,"a":9,"i":10,"3":11,"0":12,"3":13,"z":14}',
  '[' + times(30, (_, i) => i) + ']', '{' + times(30, (_, i) => `"${(i * 7) % 15}":${i}`) + '}', '['.repeat(200) + ']'.repeat(200), '['.repeat(200) + ']'.repeat(199)
].map(s => Buffer.from(s, 'utf8'))
const broken = ['22ff22', '22c32822', '22e282ac22', '22e28222', '22e28222e282', '22f09f9822', '22f09f22', '22eda08022', '22c08022', '22f490808022', '22f5808022', '22e0808022', '22f0808022',
  '7b22ff223a317d', '22c3', 'ff', '5b22c322c3225d', '22f1808022', '22f180c3a922', '22e2ff8222', '22f18041', '22fefe22', '2280bf22', '22f48f22', '22f48fbf22', '22ed9f22']
  .map(h => Buffer.from(h, 'hex'))
for (const d of [...docs, ...broken]) {
  parseCase(d)
  entriesCase(d)
}
// Past the point where an object finds its keys with a map.
const wide = '{' + times(40, (_, i) => `"k${i % 33}":${i}`) + ',"7":"seven","a.b":"dot"}'
parseCase(Buffer.from(wide))

const gets = {
  '{"a":{"b":{"c":"v"}}}': ['a.b.c', 'a.b', 'a', 'a.b.c.d', 'a.x', 'a.b.c.length', 'a.b.c[0]', 'a["b"].c', "a['b']['c']", '[a][b][c]', 'a[b]c', 'a]b', 'a[b', '.a', 'a.', ''],
  '{"a.b":"lit","a":{"b":"nest"}}': ['a.b', 'a["b"]', '["a.b"]', '[a.b]', 'a[b]'],
  '{"x":{"a.b":1}}': ['x.a.b', 'x["a.b"]', 'x[a.b]', "x['a.b']"],
  '{"a":[{"b":1},[2,[3]]],"0":"zero"}': ['a[0].b', 'a.0.b', 'a[1][1][0]', 'a.1.1.0', 'a[2]', 'a[-1]', 'a[01]', 'a.01', 'a[1.0]', 'a[1.5]', 'a[0]b', 'a.length', 'a[1].length', 'a[ 0 ]', '[0]', '0', 'a[0', 'a0]', 'a[]', 'a[][0]', 'a.[0]', 'a.push', 'a.map.length', 'a[4294967295]', 'a[99999999999999999999]'],
  '["first","second",{"k":"v"}]': ['[1]', '0', '[2].k', '2.k', 'length', '[3]', '-1', '1.0', '+1', '1e0', '', '[length]', '["length"]', '[2]["k"]', '.1', '1.', 'concat', '0.0', '[0][0]', '[0].length', 'length.length'],
  '{"b":{"b":1,"c":[1,2]}}': ['b', 'b.c'],
  '{"n":1.50,"t":true,"z":null,"e":"","big":12345678901234567890,"x":1e21,"m":-0,"i":1e400,"s":1e-7}': ['n', 't', 'z', 'e', 'big', 'x', 'm', 'i', 's', 'z.a', 'z.length', 'e.length', 'e[0]', 'n.toFixed', 't.valueOf', 'n.length'],
  '{"":"e"}': ['', '.', '[]', '""', '[""]', "['']", '..', '.[]', '[].'],
  '{"":{"":{"":"deep"},"lead":"l"},"t":{"":"tr"}}': ['', '.', '..', '...', '....', '[]', '[][]', '[].[]', '.lead', 't.', 't[]', 't..', 't[""]', '.[].', '[].lead', '[""].lead', '.["lead"]', 't.[""]', '[[]]'],
  '{}': ['', 'a', 'toString', '__proto__', 'constructor', 'constructor.name', 'hasOwnProperty', '__proto__.toString', 'a.b', '[', ']', '[]', '.', 'length'],
  '{"toString":"own","__proto__":{"x":"y"},"constructor":{"name":"n"},"length":7,"a":{"hasOwnProperty":1}}': ['toString', '__proto__', '__proto__.x', 'constructor.name', 'length', 'a.hasOwnProperty', 'a.toString', 'toString.length', '__proto__.__proto__'],
  '"str"': ['length', '0', '[2]', '3', '-0', '00', 'toString', 'charAt', '0.0.0', '0.length', 'a.b', '["length"]'],
  '"\\ud83d\\ude00x\\udc00"': ['length', '0', '1', '2', '3', '4', '0.0', '0.length', '[1][0]', '0.1'],
  '{"a":"\u00e9\ud83d\ude00z"}': ['a', 'a.length', 'a[0]', 'a[1]', 'a[2]', 'a[3]', 'a[4]'],
  'null': ['a', '', 'length', 'a.b', '[0]', 'toString'],
  '5': ['a', '', 'length', 'toFixed', '0', 'a.b'],
  'true': ['a', 'length', 'valueOf'],
  '{"a":{"x":1,"":2},"x":3}': ['a[x[', 'a[x', 'a[', 'a[[x]', 'a[x]]', 'a]x', 'a[x][', '[a][x', 'x[', 'a["x"', 'a["x"[', "a['x\"]", 'a[]x'],
  '{"a":"\ud7a3\ud000\ue000\uffff"}': ['a', 'a[0]', 'a[1]', 'a[2]', 'a[3]', 'a[4]', 'a.length'],
  '[]': ['length', '0', '[0]', '', 'a.b', '[]'],
  '{"a":{"b.c":"q","x y":"s","plain":"b","":{"e":"dd"},"\\"":"dq","\'":"sq","\\\\":"bs","]":"br","a]b":"mid","\\n":"nl","\u2028":"ls","\ud83d\ude00":"em","-1":"neg","1.5":"frac","-1.5":"negfrac","\\r":"cr","\u2029":"ps","01":"oct","[0]":"lit","\\"x":"open"}}':
    ['a["b.c"]', "a['x y']", 'a[plain]', 'a..e', 'a[].e', 'a["\\""]', "a['\\'']", 'a["\\\\"]', 'a["]"]', 'a["a]b"]', 'a["\n"]', 'a["\\\n"]', 'a["\u2028"]', 'a["\\\u2028"]', 'a["\\\u2029"]', 'a["\u2029"]', 'a["\r"]', 'a["\\\r"]', 'a["\ud83d\ude00"]', 'a["\\\ud83d\ude00"]',
      'a[-1]', 'a[1.5]', 'a.1.5', 'a[01]', 'a["[0]"]', 'a[[0]]', 'a["x]', 'a["x\']', "a['x\"]", 'a[\'"\']', 'a["\'"]', 'a["b.c"', 'a["b.c]', 'a[b.c]', 'a["b.c"]x', 'a["b.c"].length', 'a[-1.5]', 'a[--1]', 'a[-]', 'a[1.]', 'a[.5]', 'a[1.5.6]', 'a["\\b.c"]', 'a["\\b\\.\\c"]', 'a.x y', 'a\\.b', 'a["\\]'],
  '{"a[0]":"lit","a":["idx"],"[0]":"br","a[":"half","b]":"close","[]":"pair","x[]y":"mid",".":"dot","..":"dots","a.":"trail",".a":"lead","[\\"a\\"]":"quoted"}':
    ['a[0]', '[0]', 'a[', 'b]', '[]', 'x[]y', '.', '..', 'a.', '.a', '["a"]', 'a["0"]', "['a'][0]", 'a.0'],
  '{"0":{"0":"z"},"-0":"m","1":"o","x-y":"dash","x y":"space","$":"d","@":"at","\u00e9":"acc","a/b":"slash"}': ['0', '-0', '[0]', '[-0]', '0.0', '[0][0]', '[0].0', 'x-y', 'x y', '$', '@', '\u00e9', 'a/b', '[x-y]', '["x y"]', '[a/b]', '[1]', '["1"]', '\n', 'a\nb'],
  [wide]: ['k0', 'k1', 'k6', 'k7', 'k32', 'k33', '7', '[7]', 'a.b', '7.length']
}
for (const d of Object.keys(gets)) for (const p of gets[d]) getCase(Buffer.from(d), p)

for (const s of ['AAEC_w !!\n', 'hello world', '', '=', '==', '=bad', 'YQ==YQ==', 'YQ=YQ=', 'Y=Q=', 'YWJj=ZGVm', 'YWJj====', 'YWJ', 'YW', 'Y', 'YWJjZ', '\u0141\u0141\u0141\u0141', 'AA\u0141A',
  'A\u00c1AA', '\u00e9', 'YW-Jj', '-_-_', '+/+/', '+_-/', 'YWJj\0ZGVm', 'YWJjZA = =', 'YWJj\nZA==\n', 'YWJjZA=\n=', '\ud83d\ude00YWJj', 'YWJj\ud83c\udf41YWJj', 'YWJj\u013dYWJj', 'AAEC/w==', 'AAH/', '\ufffdYWJj',
  '{"a":1}', '-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n', 'p@ss w0rd!']) base64Case(s)

// ---- by chance ------------------------------------------------------------------------------------------------------

const names = ['a', 'b', 'c', 'a.b', '', '0', '1', '2', '10', '01', '-1', '1.5', 'length', 'toString', '__proto__', 'constructor', '[0]', 'a[0]', 'x y', '"', "'", '\\', '\\"', '\n', '\u2028', '\u00e9',
  '\ud83d\ude00', '\ud83d', '\udc00', '4294967294', '4294967295', ']', '[', '[]', '.', 'a[', '$', 'valueOf', '\\\\', 'a\\', "'x'", '"x"']
const bytesOfDouble = Buffer.alloc(8)
function literal () {
  switch (rnd(6)) {
    case 0: return String(rnd(100))
    case 1: return '-' + rnd(1000) + '.' + rnd(1000)
    case 2: return rnd(10) + pick(['e', 'E']) + pick(['', '+', '-']) + rnd(30)
    case 3: return times(1 + rnd(30), () => rnd(9) + 1).join('')
    case 4: return '0.' + times(1 + rnd(30), () => rnd(10)).join('')
    default: {
      for (let i = 0; i < 8; i++) bytesOfDouble[i] = rnd(256)
      const f = bytesOfDouble.readDoubleLE()
      return Number.isFinite(f) ? f.toExponential(pick([undefined, 16, 20])) : '1e999'
    }
  }
}
function quote (s) {
  let out = '"'
  for (const unit of times(s.length, (_, i) => s[i])) {
    const code = unit.charCodeAt(0)
    const hex = code.toString(16).padStart(4, '0')
    const must = code < 32 || unit === '"' || unit === '\\' || (code >= 0xd800 && code < 0xe000)
    out += must || rnd(8) === 0 ? '\\u' + (rnd(2) ? hex : hex.toUpperCase()) : unit
  }
  return out + '"'
}
const blank = () => rnd(6) ? '' : pick([' ', '\n', '\t', '\r', '  '])
function doc (depth) {
  const kind = rnd(depth > 0 ? 10 : 5)
  const sep = () => blank() + ',' + blank()
  if (kind < 2) return quote(times(rnd(4), () => pick(names)).join(''))
  if (kind < 4) return literal()
  if (kind < 5) return pick(['null', 'true', 'false'])
  const size = rnd(10) ? rnd(5) : rnd(20)
  if (kind < 7) return '[' + blank() + times(size, () => doc(depth - 1)).join(sep()) + blank() + ']'
  return '{' + blank() + times(size, () => quote(pick(names)) + blank() + ':' + blank() + doc(depth - 1)).join(sep()) + blank() + '}'
}
function mutate (bytes) {
  const at = rnd(bytes.length + 1)
  const put = pick([[rnd(256)], [...Buffer.from(pick(['"', '\\', '\\u', '{', '}', '[', ']', ',', ':', '-', '0', '.', 'e', ' ', 'null', '\ud83d\ude00', '\u00a0']))]])
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(rnd(3) ? put : []), bytes.subarray(at + rnd(3))])
}
const tokens = [...names, '.', '.', '..', '[0]', '[1]', '[-1]', '[1.5]', '[2]', '["a.b"]', "['x y']", '[', ']', '[]', '\\', '"', "'", '[a]', '["\\""]', "['\\'']", '["', '"]', "['", "']", '-', '\\\n', '\\\u2028', '["\\\\"]', '[""]', '[\'"\']']
// step leads to a key that is there, in one of the ways to write it.
function step (key) {
  const q = pick(['"', "'"])
  return pick(['.' + key, '[' + key + ']', '[' + q + key.replace(/[\\"']/g, '\\$&') + q + ']'])
}
function way (value) {
  let where = ''
  while (value !== null && typeof value !== 'undefined' && typeof value !== 'number' && rnd(5)) {
    const keys = Object.keys(Object(value)).concat(rnd(4) ? [] : ['length'])
    if (!keys.length) break
    const key = pick(keys)
    where += where === '' && rnd(3) ? key : step(key)
    value = value[key]
  }
  return wellFormed(where)
}
for (let i = 0; i < count; i++) {
  const d = Buffer.from(doc(4))
  parseCase(d)
  entriesCase(Buffer.from(doc(2)))
  parseCase(mutate(pick([d, Buffer.from(doc(1))])))
  const top = Buffer.from(rnd(4) ? '{"a":' + doc(3) + ',"b":' + doc(2) + ',"":' + doc(1) + '}' : doc(3))
  getCase(top, way(JSON.parse(top)))
  getCase(top, wellFormed(way(JSON.parse(top)) + pick(tokens)))
  getCase(top, wellFormed(times(1 + rnd(6), () => pick(tokens)).join('')))
  base64Case(times(rnd(24), () => rnd(10) ? 'ABCDWXYZabcdwxyz0189+/-_'[rnd(24)] : pick([...'=\n !.\u0141\u00c1\u013d\ufffd', '\ud83d\ude00'])).join(''))
}
