"""Names of TLS versions, cipher suites and alerts (IANA "TLS Parameters")."""

from __future__ import annotations

VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
ALERTS = {
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
    30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
    43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
    47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
    60: "export_restriction", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
    86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
    110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
    113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
    116: "certificate_required", 120: "no_application_protocol", 121: "ech_required",
}  # fmt: skip

_PLAIN = {
    0x00FF: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
    0x5600: "TLS_FALLBACK_SCSV",
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
}
# Key exchange, and the suites with it: number and cipher.
_FAMILIES: dict[str, dict[int, str]] = {
    "RSA": {
        0x0001: "NULL_MD5", 0x0002: "NULL_SHA", 0x0004: "RC4_128_MD5", 0x0005: "RC4_128_SHA", 0x0007: "IDEA_CBC_SHA",
        0x0009: "DES_CBC_SHA", 0x000A: "3DES_EDE_CBC_SHA", 0x002F: "AES_128_CBC_SHA", 0x0035: "AES_256_CBC_SHA",
        0x003B: "NULL_SHA256", 0x003C: "AES_128_CBC_SHA256", 0x003D: "AES_256_CBC_SHA256",
        0x0041: "CAMELLIA_128_CBC_SHA", 0x0084: "CAMELLIA_256_CBC_SHA", 0x0096: "SEED_CBC_SHA",
        0x009C: "AES_128_GCM_SHA256", 0x009D: "AES_256_GCM_SHA384", 0x00BA: "CAMELLIA_128_CBC_SHA256",
        0x00C0: "CAMELLIA_256_CBC_SHA256", 0xC09C: "AES_128_CCM", 0xC09D: "AES_256_CCM", 0xC0A0: "AES_128_CCM_8",
        0xC0A1: "AES_256_CCM_8", 0xC050: "ARIA_128_GCM_SHA256", 0xC051: "ARIA_256_GCM_SHA384",
    },
    "DHE_DSS": {
        0x0012: "DES_CBC_SHA", 0x0013: "3DES_EDE_CBC_SHA", 0x0032: "AES_128_CBC_SHA", 0x0038: "AES_256_CBC_SHA",
        0x0040: "AES_128_CBC_SHA256", 0x006A: "AES_256_CBC_SHA256", 0x0044: "CAMELLIA_128_CBC_SHA",
        0x0087: "CAMELLIA_256_CBC_SHA", 0x00A2: "AES_128_GCM_SHA256", 0x00A3: "AES_256_GCM_SHA384",
    },
    "DHE_RSA": {
        0x0015: "DES_CBC_SHA", 0x0016: "3DES_EDE_CBC_SHA", 0x0033: "AES_128_CBC_SHA", 0x0039: "AES_256_CBC_SHA",
        0x0045: "CAMELLIA_128_CBC_SHA", 0x0088: "CAMELLIA_256_CBC_SHA", 0x0067: "AES_128_CBC_SHA256",
        0x006B: "AES_256_CBC_SHA256", 0x009A: "SEED_CBC_SHA", 0x009E: "AES_128_GCM_SHA256",
        0x009F: "AES_256_GCM_SHA384", 0x00BE: "CAMELLIA_128_CBC_SHA256", 0x00C4: "CAMELLIA_256_CBC_SHA256",
        0xC09E: "AES_128_CCM", 0xC09F: "AES_256_CCM", 0xC0A2: "AES_128_CCM_8", 0xC0A3: "AES_256_CCM_8",
        0xC052: "ARIA_128_GCM_SHA256", 0xC053: "ARIA_256_GCM_SHA384", 0xCCAA: "CHACHA20_POLY1305_SHA256",
    },
    "DH_anon": {
        0x0018: "RC4_128_MD5", 0x001B: "3DES_EDE_CBC_SHA", 0x0034: "AES_128_CBC_SHA", 0x003A: "AES_256_CBC_SHA",
        0x006C: "AES_128_CBC_SHA256", 0x006D: "AES_256_CBC_SHA256", 0x00A6: "AES_128_GCM_SHA256",
        0x00A7: "AES_256_GCM_SHA384",
    },
    "PSK": {
        0x008A: "RC4_128_SHA", 0x008B: "3DES_EDE_CBC_SHA", 0x008C: "AES_128_CBC_SHA", 0x008D: "AES_256_CBC_SHA",
        0x00A8: "AES_128_GCM_SHA256", 0x00A9: "AES_256_GCM_SHA384", 0x00AE: "AES_128_CBC_SHA256",
        0x00AF: "AES_256_CBC_SHA384", 0xC0A4: "AES_128_CCM", 0xC0A5: "AES_256_CCM", 0xC0A8: "AES_128_CCM_8",
        0xC0A9: "AES_256_CCM_8", 0xCCAB: "CHACHA20_POLY1305_SHA256",
    },
    "DHE_PSK": {
        0x00AA: "AES_128_GCM_SHA256", 0x00AB: "AES_256_GCM_SHA384", 0x0090: "AES_128_CBC_SHA",
        0x0091: "AES_256_CBC_SHA", 0xC0A6: "AES_128_CCM", 0xC0A7: "AES_256_CCM", 0xCCAD: "CHACHA20_POLY1305_SHA256",
    },
    "ECDHE_PSK": {
        0xC035: "AES_128_CBC_SHA", 0xC036: "AES_256_CBC_SHA", 0xC037: "AES_128_CBC_SHA256",
        0xC038: "AES_256_CBC_SHA384", 0xD001: "AES_128_GCM_SHA256", 0xD002: "AES_256_GCM_SHA384",
        0xCCAC: "CHACHA20_POLY1305_SHA256",
    },
    "ECDH_ECDSA": {
        0xC002: "RC4_128_SHA", 0xC003: "3DES_EDE_CBC_SHA", 0xC004: "AES_128_CBC_SHA", 0xC005: "AES_256_CBC_SHA",
        0xC025: "AES_128_CBC_SHA256", 0xC026: "AES_256_CBC_SHA384", 0xC02D: "AES_128_GCM_SHA256",
        0xC02E: "AES_256_GCM_SHA384",
    },
    "ECDHE_ECDSA": {
        0xC006: "NULL_SHA", 0xC007: "RC4_128_SHA", 0xC008: "3DES_EDE_CBC_SHA", 0xC009: "AES_128_CBC_SHA",
        0xC00A: "AES_256_CBC_SHA", 0xC023: "AES_128_CBC_SHA256", 0xC024: "AES_256_CBC_SHA384",
        0xC02B: "AES_128_GCM_SHA256", 0xC02C: "AES_256_GCM_SHA384", 0xC0AC: "AES_128_CCM", 0xC0AD: "AES_256_CCM",
        0xC0AE: "AES_128_CCM_8", 0xC0AF: "AES_256_CCM_8", 0xC05C: "ARIA_128_GCM_SHA256",
        0xC05D: "ARIA_256_GCM_SHA384", 0xC072: "CAMELLIA_128_CBC_SHA256", 0xC073: "CAMELLIA_256_CBC_SHA384",
        0xCCA9: "CHACHA20_POLY1305_SHA256",
    },
    "ECDH_RSA": {
        0xC00C: "RC4_128_SHA", 0xC00D: "3DES_EDE_CBC_SHA", 0xC00E: "AES_128_CBC_SHA", 0xC00F: "AES_256_CBC_SHA",
        0xC029: "AES_128_CBC_SHA256", 0xC02A: "AES_256_CBC_SHA384", 0xC031: "AES_128_GCM_SHA256",
        0xC032: "AES_256_GCM_SHA384",
    },
    "ECDHE_RSA": {
        0xC010: "NULL_SHA", 0xC011: "RC4_128_SHA", 0xC012: "3DES_EDE_CBC_SHA", 0xC013: "AES_128_CBC_SHA",
        0xC014: "AES_256_CBC_SHA", 0xC027: "AES_128_CBC_SHA256", 0xC028: "AES_256_CBC_SHA384",
        0xC02F: "AES_128_GCM_SHA256", 0xC030: "AES_256_GCM_SHA384", 0xC060: "ARIA_128_GCM_SHA256",
        0xC061: "ARIA_256_GCM_SHA384", 0xC076: "CAMELLIA_128_CBC_SHA256", 0xC077: "CAMELLIA_256_CBC_SHA384",
        0xCCA8: "CHACHA20_POLY1305_SHA256",
    },
    "ECDH_anon": {0xC018: "AES_128_CBC_SHA", 0xC019: "AES_256_CBC_SHA"},
}  # fmt: skip
CIPHERS = _PLAIN | {
    number: f"TLS_{exchange}_WITH_{cipher}"
    for exchange, suites in _FAMILIES.items()
    for number, cipher in suites.items()
}


def version_name(number: int) -> str:
    # Drafts of TLS 1.3 and the versions of GREASE are told by their number.
    return VERSIONS.get(number) or f"0x{number:04x}"


def cipher_name(number: int) -> str:
    return CIPHERS.get(number) or f"0x{number:04x}"


def alert_name(number: int) -> str:
    return ALERTS.get(number) or f"alert {number}"


def is_grease(number: int) -> bool:
    """Values that clients throw in so that servers stay tolerant (RFC 8701): 0x0A0A, 0x1A1A, …"""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF
