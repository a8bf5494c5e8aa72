// hiredis makes TLS connections of its own, but would accept the certificate of any host: so the OpenSSL
// handle is made here, with the host in it, and then given to hiredis.
#include "redis_tls.h"

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "cleanup.h"
#include "error.h"

DEFINE_CLEANUP(SSL_CTX, SSL_CTX_free)

// 0, or 1: OpenSSL says no.
static int expect_host(SSL *ssl, const char *host)
{
    // an address is looked for among the certificate's addresses, and may not be sent as a server name
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return 0;
    return SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1;
}

int redis_tls_start(redisContext *c, const char *host, const char *ca, struct why *ret_why)
{
    _cleanup_(SSL_CTX_free_p) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return ERR_NOMEM;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    int r = ca ? SSL_CTX_load_verify_file(ctx, ca) : SSL_CTX_set_default_verify_paths(ctx);
    if (r != 1) {
        snprintf(ret_why->text, sizeof(ret_why->text), "no trusted certificates could be read from %s: %s",
                 ca ? ca : "the system's folder", ERR_reason_error_string(ERR_get_error()));
        return PORT_REFUSED;
    }

    SSL *ssl = SSL_new(ctx);
    if (!ssl || expect_host(ssl, host)) {
        SSL_free(ssl);
        return ERR_NOMEM;
    }
    if (redisInitiateSSL(c, ssl) == REDIS_OK)
        return 0; // the connection owns it now
    long verified = SSL_get_verify_result(ssl);
    SSL_free(ssl);
    if (verified != X509_V_OK) {
        snprintf(ret_why->text, sizeof(ret_why->text),
                 "its certificate is not trusted for %s: %s. "
                 "Is the host's name right, and ?ca=FILE the file of who signed it?",
                 host, X509_verify_cert_error_string(verified));
        return PORT_REFUSED;
    }
    snprintf(ret_why->text, sizeof(ret_why->text), "no TLS handshake: %s. Does this port speak TLS?", c->errstr);
    return PORT_AWAY;
}
