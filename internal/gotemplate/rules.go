// SPDX-License-Identifier: Apache-2.0

package gotemplate

import "reflect"

// rule says what a function costs. Without one of its fields, a call costs callWork, the size of the arguments and the size of
// the result.
type rule struct {
	weight int64 // units for each byte of the arguments, if more than one
	deep   bool  // the arguments are walked, for so does the function; else only their own size counts
	holds  bool  // values are kept, not looked into; of the arguments only text counts that is no value
	passes bool  // the result is an argument or a part of one, and costs nothing
	guard  guard // what else it will cost, and how large the result will be at least
}

// guard looks at the arguments of a call that has not begun.
type guard func(e *Engine, args []reflect.Value) bill

// builtins are text/template's own functions that it is left to call; print and its relatives are in rules.
var builtins = map[string]bool{
	"and": true, "or": true, "not": true, "call": true, "len": true, "index": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

// comparing are the builtins whose work depends on the size of the arguments.
var comparing = map[string]bool{
	"index": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

// The weights that several functions share.
var (
	plain   = rule{}
	picks   = rule{holds: true, passes: true}
	keeps   = rule{holds: true}
	byRune  = rule{weight: 10} // goes through []rune and buffers
	walking = rule{deep: true}
	linear  = rule{weight: 4}
	number  = rule{weight: 40} // text that is no number goes into an error, which is dropped
	decimal = rule{weight: 40, guard: decimals}
	appends = rule{holds: true, guard: appended}
	copies  = rule{deep: true, weight: 4, guard: copied}
)

// rules is the list of functions: those of External Secrets Operator 2.9.0. What is not here is unknown. Nothing here reaches
// the network, files, the environment or the cluster; env, expandenv and getHostByName are left out for that.
var rules = map[string]rule{
	"hello": plain, "fail": plain,

	// Times. A named zone is looked up in the system's table of zones.
	"ago": plain, "date": plain, "date_in_zone": {guard: zoned(2)}, "dateInZone": {guard: zoned(2)},
	"date_modify": plain, "dateModify": plain, "must_date_modify": plain, "mustDateModify": plain,
	"duration": plain, "durationRound": plain, "htmlDate": plain, "htmlDateInZone": {guard: zoned(1)},
	"toDate": linear, "mustToDate": linear, "now": plain, "unixEpoch": plain,

	// Text.
	"abbrev": linear, "abbrevboth": linear, "trunc": plain, "trim": plain, "upper": {weight: 6}, "lower": {weight: 6},
	"title": byRune, "untitle": byRune, "substr": plain, "repeat": {guard: repeated},
	"trimall": {guard: trimmed}, "trimAll": {guard: trimmed}, "trimSuffix": plain, "trimPrefix": plain,
	"nospace": byRune, "initials": byRune, "swapcase": byRune, "shuffle": byRune,
	"snakecase": byRune, "camelcase": byRune, "kebabcase": byRune,
	"randAlphaNum": {guard: random}, "randAlpha": {guard: random}, "randAscii": {guard: random}, "randNumeric": {guard: randomDigits},
	"wrap": {weight: 4, guard: wrapped}, "wrapWith": {weight: 4, guard: wrapped},
	"contains": plain, "hasPrefix": plain, "hasSuffix": plain,
	"quote": {deep: true, weight: 4, guard: quotes}, "squote": {deep: true, weight: 4, guard: texts},
	"cat": {deep: true, weight: 4, guard: texts}, "indent": {guard: indented}, "nindent": {guard: indented},
	"replace": {guard: replaced}, "plural": plain, "toString": {deep: true, weight: 2, guard: texts},
	"sha1sum": linear, "sha256sum": linear, "sha512sum": linear, "adler32sum": plain,

	// Text builtins, which look at their arguments wholly.
	"print": {deep: true, weight: 3, guard: texts}, "println": {deep: true, weight: 3, guard: texts},
	"printf": {guard: formatted}, "html": {deep: true, weight: 3, guard: quotes},
	"js": {deep: true, weight: 3, guard: quotes}, "urlquery": {deep: true, weight: 4, guard: quotes},

	// Numbers.
	"atoi": number, "int64": number, "int": number, "float64": number, "toDecimal": {deep: true, weight: 4, guard: texts},
	"seq": {guard: sequence}, "until": {guard: sequence}, "untilStep": {guard: sequence},
	"add1": number, "add": number, "sub": number, "div": number, "mod": number, "mul": number, "randInt": plain,
	"add1f": decimal, "addf": decimal, "subf": decimal, "divf": decimal, "mulf": decimal,
	"biggest": number, "max": number, "min": number, "maxf": number, "minf": number,
	"ceil": number, "floor": number, "round": number,

	// Lists of text.
	"split": {guard: parts(pairWork)}, "splitList": {guard: parts(itemWork)}, "splitn": {guard: parts(pairWork)},
	"toStrings": {deep: true, weight: 2}, "join": {deep: true, weight: 2, guard: joined}, "sortAlpha": {deep: true, weight: 4, guard: sorted},

	// Defaults.
	"default": picks, "empty": picks, "coalesce": picks, "all": picks, "any": picks, "ternary": picks,
	"compact": {weight: 3}, "mustCompact": {weight: 3},

	// Formats.
	"fromJson": {guard: document}, "mustFromJson": {guard: document},
	"toJson": {deep: true, weight: 4, guard: quotes}, "mustToJson": {deep: true, weight: 4, guard: quotes},
	"toPrettyJson": {deep: true, weight: 6, guard: quotes}, "mustToPrettyJson": {deep: true, weight: 6, guard: quotes},
	"toRawJson": {deep: true, weight: 4, guard: quotes}, "mustToRawJson": {deep: true, weight: 4, guard: quotes},
	"toYaml": {deep: true, weight: 24, guard: yamlOut}, "fromYaml": {guard: yamlIn},

	// Types.
	"typeOf": plain, "typeIs": plain, "typeIsLike": plain, "kindOf": plain, "kindIs": plain, "deepEqual": walking,

	// Paths, which are text.
	"base": plain, "dir": plain, "clean": linear, "ext": plain, "isAbs": plain,
	"osBase": plain, "osClean": linear, "osDir": plain, "osExt": plain, "osIsAbs": plain,

	// Encodings.
	"b64enc": linear, "b64dec": linear, "b32enc": linear, "b32dec": linear, "hexdec": linear,

	// Lists and dicts.
	"tuple": keeps, "list": keeps, "dict": {holds: true, guard: keyed}, "get": picks, "set": picks, "unset": picks, "hasKey": picks,
	"pluck": keeps, "keys": plain, "pick": plain, "omit": plain, "values": plain,
	"merge": copies, "mergeOverwrite": copies, "mustMerge": copies, "mustMergeOverwrite": copies,
	"deepCopy": copies, "mustDeepCopy": copies,
	"append": appends, "mustAppend": appends, "push": appends, "mustPush": appends, "prepend": appends, "mustPrepend": appends,
	"first": picks, "mustFirst": picks, "rest": plain, "mustRest": plain, "last": picks, "mustLast": picks,
	"initial": plain, "mustInitial": plain, "reverse": plain, "mustReverse": plain,
	"uniq": {deep: true, guard: pairs}, "mustUniq": {deep: true, guard: pairs},
	"without": {deep: true, guard: pairs}, "mustWithout": {deep: true, guard: pairs},
	"has": walking, "mustHas": walking, "slice": picks, "mustSlice": picks, "concat": {weight: 3}, "dig": {passes: true},
	"chunk": {weight: 3}, "mustChunk": {weight: 3},

	// Secrets and certificates.
	"bcrypt": {guard: fixed(bcryptWork)}, "htpasswd": {guard: htpasswdBill}, "derivePassword": {guard: scryptBill},
	"randBytes": {guard: randomBytes}, "uuidv4": plain, "encryptAES": linear, "decryptAES": linear,
	"genPrivateKey": {guard: keyBill}, "buildCustomCert": {weight: 16, guard: privateKeys(-1)},
	"genCA": {weight: 16, guard: fixed(rsa2048Work)}, "genCAWithKey": {weight: 16, guard: privateKeys(2)},
	"genSelfSignedCert":        {deep: true, weight: 16, guard: fixed(rsa2048Work)},
	"genSelfSignedCertWithKey": {deep: true, weight: 16, guard: privateKeys(4)},
	"genSignedCert":            {deep: true, weight: 16, guard: privateKeys(4)},
	"genSignedCertWithKey":     {deep: true, weight: 16, guard: privateKeys(4, 5)},
	"pkcs12key":                {weight: 16, guard: pkcs12Bill}, "pkcs12keyPass": {weight: 16, guard: pkcs12Bill},
	"pkcs12cert": {weight: 16, guard: pkcs12Bill}, "pkcs12certPass": {weight: 16, guard: pkcs12Bill},
	"pemToPkcs12": {weight: 32, guard: privateKeys(1)}, "pemToPkcs12Pass": {weight: 32, guard: privateKeys(1)},
	"fullPemToPkcs12": {weight: 32, guard: privateKeys(1)}, "fullPemToPkcs12Pass": {weight: 32, guard: privateKeys(1)},
	"pemTruststoreToPKCS12": {weight: 32, guard: fixed(encodeWork)}, "pemTruststoreToPKCS12Pass": {weight: 32, guard: fixed(encodeWork)},
	"filterPEM": {weight: 8}, "filterCertChain": {weight: 24, guard: chained}, "certSANs": {weight: 16},
	"jwkPublicKeyPem": {weight: 32, guard: jwkBill}, "jwkPrivateKeyPem": {weight: 32, guard: jwkBill},
	"rsaDecrypt": {weight: 4, guard: privateKeys(3)},

	// Versions and patterns.
	"semver": {guard: versions}, "semverCompare": {guard: versions},
	"regexMatch": plain, "mustRegexMatch": plain, "regexFindAll": plain, "mustRegexFindAll": plain,
	"regexFind": plain, "mustRegexFind": plain, "regexReplaceAll": plain, "mustRegexReplaceAll": plain,
	"regexReplaceAllLiteral": plain, "mustRegexReplaceAllLiteral": plain,
	"regexSplit": plain, "mustRegexSplit": plain, "regexQuoteMeta": {weight: 3},

	// URLs.
	"urlParse": {weight: 16}, "urlJoin": {deep: true, weight: 8},
}
