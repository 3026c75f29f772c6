// Asks whoever uses a page what they did when it broke, and sends the answer to the address that this script came from.
(function () {
  'use strict'
  var script = document.currentScript || Array.prototype.slice.call(document.getElementsByTagName('script')).filter(function (other) {
    return /\/api\/embed\/error-page\//.test(other.src)
  }).pop()
  if (!script) return
  var address = script.src
  var asked = {}
  address.slice(address.indexOf('?') + 1).split('&').forEach(function (pair) {
    var at = pair.indexOf('=')
    try {
      asked[decodeURIComponent(pair.slice(0, at))] = decodeURIComponent(pair.slice(at + 1).replace(/\+/g, ' '))
    } catch (ignored) { /* what cannot be read is not shown */ }
  })

  function make(kind, style, text) {
    var made = document.createElement(kind)
    made.style.cssText = 'font:16px/1.4 system-ui,sans-serif;box-sizing:border-box;color:#1d2025;' + style
    if (text) made.textContent = text
    return made
  }
  function field(label, kind, name, value, isRequired) {
    var wrap = make('label', 'display:block;margin:0 0 12px', label)
    var input = make(kind, 'display:block;width:100%;margin-top:4px;padding:8px;border:1px solid #8a919c;border-radius:4px;background:#fff')
    input.name = name
    input.required = isRequired
    input.value = value || ''
    if (kind === 'textarea') input.rows = 4
    if (name === 'email') input.type = 'email'
    wrap.appendChild(input)
    return wrap
  }

  var before = document.activeElement
  var cover = make('div', 'position:fixed;inset:0;top:0;left:0;width:100%;height:100%;z-index:2147483646;background:rgba(0,0,0,.5);overflow:auto;padding:16px')
  var form = make('form', 'max-width:480px;margin:8vh auto;padding:24px;background:#fff;border-radius:8px')
  var title = make('h2', 'font-size:20px;margin:0 0 8px', asked.title || 'It looks like something went wrong.')
  title.id = 'croak-dialog-title'
  cover.setAttribute('role', 'dialog')
  cover.setAttribute('aria-modal', 'true')
  cover.setAttribute('aria-labelledby', title.id)
  form.appendChild(title)
  form.appendChild(make('p', 'margin:0 0 16px', asked.subtitle || 'Those who can mend it have been told. What did you do when it happened?'))
  form.appendChild(field(asked.labelName || 'Name', 'input', 'name', asked.name, true))
  form.appendChild(field(asked.labelEmail || 'E-mail', 'input', 'email', asked.email, true))
  form.appendChild(field(asked.labelComments || 'What happened?', 'textarea', 'comments', '', true))
  var told = make('p', 'margin:0 0 12px')
  told.setAttribute('role', 'status')
  form.appendChild(told)
  var send = make('button', 'padding:8px 16px;border:0;border-radius:4px;background:#1d4ed8;color:#fff;cursor:pointer', asked.labelSubmit || 'Send')
  send.type = 'submit'
  var close = make('button', 'padding:8px 16px;margin-left:8px;border:1px solid #8a919c;border-radius:4px;background:#fff;cursor:pointer', asked.labelClose || 'Close')
  close.type = 'button'
  form.appendChild(send)
  form.appendChild(close)
  cover.appendChild(form)

  function end() {
    document.removeEventListener('keydown', onKey)
    if (cover.parentNode) cover.parentNode.removeChild(cover)
    if (before && before.focus) before.focus()
  }
  function onKey(event) {
    if (event.key === 'Escape') end()
  }
  close.onclick = end
  document.addEventListener('keydown', onKey)
  form.onsubmit = function (event) {
    event.preventDefault()
    var body = ['name', 'email', 'comments'].map(function (name) {
      return name + '=' + encodeURIComponent(form.elements[name].value)
    }).join('&')
    var request = new XMLHttpRequest()
    send.disabled = true
    request.open('POST', address)
    request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded')
    request.onloadend = function () {
      if (request.status === 200) {
        told.textContent = asked.successMessage || 'Thank you. It has been sent.'
        send.style.display = 'none'
        close.focus()
      } else {
        told.textContent = asked.errorGeneric || 'It could not be sent. Please try again.'
        send.disabled = false
      }
    }
    request.send(body)
  }
  document.body.appendChild(cover)
  form.elements.name.focus()
})()
