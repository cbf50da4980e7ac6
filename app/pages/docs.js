"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  displayOperationId: false,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // Its checker of documents is a service elsewhere.
  validatorUrl: null,
});
