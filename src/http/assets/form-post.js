// OAuth 2.0 Form Post Response Mode: sends the one form of the page. Without script the customer presses its button.
HTMLFormElement.prototype.submit.call(document.forms[0]);
