// SPDX-License-Identifier: Apache-2.0

package ibmsm

import "time"

const (
	day = 24 * time.Hour

	maxPEM     = 100 << 10
	leastLease = time.Minute
	mostLease  = 90 * day
)

// secretTypes is every type of IBM's. A new type is an entry here.
var secretTypes = map[string]secretType{
	"arbitrary": {
		name: "arbitrary", expires: true,
		fields: []fieldRule{
			{name: "payload", create: required, rotate: required, value: true, check: checkPayload},
		},
	},
	"username_password": {
		name: "username_password", expires: true,
		fields: []fieldRule{
			{name: "username", create: required, value: true, check: checkText(1, 256)},
			{name: "password", create: optional, rotate: optional, value: true, check: checkText(1, 256)},
			rotationField,
			{name: "password_generation_policy", create: optional, patch: optional, preset: passwordPolicy, check: checkPasswordPolicy},
		},
		complete: completeLogin,
		derive:   nextRotation,
	},
	"kv": {
		name: "kv",
		fields: []fieldRule{
			{name: "data", create: required, rotate: required, value: true, check: checkKV},
		},
	},
	"iam_credentials": {
		name: "iam_credentials",
		fields: []fieldRule{
			{name: "ttl", create: required, patch: optional, check: checkTTL(leastLease, mostLease)},
			{name: "reuse_api_key", create: required, check: checkFlag},
			{name: "access_groups", create: optional, check: checkTexts(10)},
			{name: "service_id", create: optional, check: checkText(1, 256)},
			{name: "account_id", create: optional, check: checkText(1, 256)},
			rotationField,
			{name: "api_key", made: true, value: true, check: checkText(1, 256)},
		},
		complete:  completeIAM,
		derive:    nextRotation,
		inVersion: []string{"api_key_id", "service_id"},
		drops:     []string{"current"},
	},
	"service_credentials": {
		name: "service_credentials",
		fields: []fieldRule{
			{name: "source_service", create: required, check: checkSourceService},
			{name: "ttl", create: optional, patch: optional, check: checkTTL(day, mostLease)},
			rotationField,
			{name: "credentials", made: true, value: true, check: checkKV},
		},
		complete: completeService,
		derive:   nextRotation,
	},
	"custom_credentials": {
		name: "custom_credentials",
		fields: []fieldRule{
			{name: "configuration", create: required, check: checkText(1, 256)},
			{name: "parameters", create: optional, patch: optional, check: checkMetadata},
			{name: "ttl", create: optional, patch: optional, check: checkTTL(day, mostLease)},
			rotationField,
			{name: "credentials_content", made: true, value: true, check: checkKV},
		},
		complete:  completeCustom,
		derive:    nextRotation,
		inVersion: []string{"credentials_id"},
		drops:     []string{"current", "previous"},
	},
	"imported_cert": {
		name: "imported_cert", certificate: true,
		fields: []fieldRule{
			{name: "certificate", create: optional, rotate: required, value: true, check: checkCertificate},
			{name: "intermediate", create: optional, rotate: optional, value: true, check: checkCertificate},
			{name: "private_key", create: optional, rotate: optional, value: true, check: checkPrivateKey},
			{name: "managed_csr", create: optional, patch: optional, check: checkMetadata},
		},
		complete:  completeImported,
		inVersion: certInVersion,
	},
	"public_cert": {
		name: "public_cert", certificate: true,
		fields: []fieldRule{
			{name: "ca", create: required, check: checkText(1, 128)},
			{name: "dns", create: required, check: checkText(1, 128)},
			{name: "common_name", create: optional, check: checkText(1, 64)},
			{name: "alt_names", create: optional, check: checkTexts(99)},
			{name: "key_algorithm", create: optional, preset: func() any { return "RSA2048" }, check: checkOneOf("RSA2048", "RSA4096", "ECDSA256", "ECDSA384")},
			{name: "bundle_certs", create: optional, preset: yes, check: checkFlag},
			{name: "rotation", create: optional, patch: optional, preset: noCertRotation, check: checkCertRotation},
			{name: "certificate", made: true, value: true, check: checkCertificate},
			{name: "intermediate", made: true, value: true, check: checkCertificate},
			{name: "private_key", made: true, value: true, check: checkPrivateKey},
		},
		arguments: []fieldRule{{name: "rotation", rotate: required, check: checkKeyRotation}},
		complete:  completePublic,
		inVersion: certInVersion,
	},
	"private_cert": {
		name: "private_cert", certificate: true,
		fields: []fieldRule{
			{name: "certificate_template", create: required, check: checkText(1, 128)},
			{name: "common_name", create: required, check: checkText(1, 64)},
			{name: "alt_names", create: optional, check: checkTexts(99)},
			{name: "ip_sans", create: optional, hidden: true, check: checkText(0, 2048)},
			{name: "uri_sans", create: optional, hidden: true, check: checkText(0, 2048)},
			{name: "other_sans", create: optional, hidden: true, check: checkTexts(99)},
			{name: "csr", create: optional, hidden: true, check: checkCSR},
			{name: "format", create: optional, hidden: true, check: checkOneOf("pem", "pem_bundle")},
			{name: "private_key_format", create: optional, hidden: true, check: checkOneOf("der", "pkcs8")},
			{name: "exclude_cn_from_sans", create: optional, hidden: true, check: checkFlag},
			{name: "ttl", create: optional, hidden: true, check: checkTTL(time.Second, 10*365*day)},
			rotationField,
			{name: "certificate", made: true, value: true, check: checkCertificate},
			{name: "private_key", made: true, value: true, check: checkPrivateKey},
			{name: "issuing_ca", made: true, value: true, check: checkCertificate},
			{name: "ca_chain", made: true, value: true, check: checkCertificates},
		},
		arguments: []fieldRule{{name: "csr", rotate: optional, check: checkCSR}},
		complete:  completePrivate,
		derive:    nextRotation,
		inVersion: certInVersion,
	},
}

var certInVersion = []string{"serial_number", "validity"}

var rotationField = fieldRule{name: "rotation", create: optional, patch: optional, preset: noRotation, check: checkRotation}
